"""Small annotation files in the formats of the data sets."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

WEBVID_COLUMNS = ("videoid", "contentUrl", "duration", "page_dir", "name")


def webvid(rows: list[tuple[str, str, str, str, str]], columns: tuple[str, ...] = WEBVID_COLUMNS, end: str = "\n") -> str:
    """WebVid's CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=end)
    writer.writerows([columns, *rows])
    return text.getvalue()


WEBVID = webvid(
    [
        ("21179416", "https://example.com/21179416.mp4", "PT00H00M11S", "006001_006050", "A red car drives to the right"),
        ("5629184", "https://example.com/5629184.mp4", "12.5", "071501_071550", 'A man says "hello", then leaves'),
        ("1063", "https://example.com/1063.mp4", "", "", "Frohe Ostern – ein Huhn"),
    ]
)
MSRVTT: dict[str, Any] = {
    "info": {"contributor": "somebody", "version": "1.0"},
    "videos": [
        {"category": 9, "video_id": "video0", "start time": 137.72, "end time": 149.44, "split": "train", "id": 0},
        {"category": 1, "video_id": "video7010", "start time": 0, "end time": 10.5, "split": "test", "id": 7010},
    ],
    "sentences": [
        {"caption": "a dog chases a red ball", "video_id": "video7010", "sen_id": 1},
        {"caption": "a car is shown", "video_id": "video0", "sen_id": 0},
        {"caption": "a ball is chased by a dog", "video_id": "video7010", "sen_id": 2},
    ],
}  # fmt: skip
ACTIVITYNET: dict[str, Any] = {
    "v_QOlSCBRmfWY": {
        "duration": 82.73,
        "timestamps": [[0.83, 19.86], [17.37, 60.81], [56.26, 79.42]],
        "sentences": ["A young woman stands in a room.", " The girl dances around the room.", " She sits down. "],
    },
    "v_ehGHCYKzyZ8": {
        "duration": 61.7,
        "timestamps": [[28.0, 61.7], [0.0, 30.0]],
        "sentences": ["Then a cat sleeps.", "A dog runs."],
    },
}
CLASSES = "1 ApplyEyeMakeup\r\n37 HandstandPushups\r\n63 PlayingGuitar\r\n"
TRAIN_LIST = (
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\r\n"
    "HandstandPushups/v_HandStandPushups_g08_c01.avi 37\r\n"
    "PlayingGuitar/v_PlayingGuitar_g08_c01.avi 63\r\n"
)
TEST_LIST = "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi\n"


def put_all(folder: Path) -> dict[str, Path]:
    """A file of each format, by format."""
    contents = {
        "webvid": ("results_2M_train.csv", WEBVID),
        "msrvtt": ("videodatainfo.json", json.dumps(MSRVTT)),
        "activitynet": ("train.json", json.dumps(ACTIVITYNET)),
        "ucf101": ("trainlist01.txt", TRAIN_LIST),
    }
    (folder / "classInd.txt").write_bytes(CLASSES.encode())
    paths = {}
    for kind, (name, text) in contents.items():
        paths[kind] = folder / name
        paths[kind].write_bytes(text.encode())
    return paths
