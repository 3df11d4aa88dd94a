"""What a prompt becomes, for people: layouts as graphs, and a caption held against them."""
