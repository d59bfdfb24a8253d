"""Draws what the pages show beside results: `map`, the picture of the front page with the network behind it; `gallery FOLDER`, from the public sets below a folder."""

import sys

from microvae.app.map import draw_map, train_map
from microvae.book.gallery import make_gallery

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["map"]:
            train_map()
            draw_map()
        case ["gallery", folder]:
            make_gallery(folder)
        case _:
            sys.exit(f"{__doc__}\nusage: .ci/pictures.py map | gallery FOLDER")
