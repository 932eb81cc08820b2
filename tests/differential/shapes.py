"""The usages of the differential test: disjoint buckets, a tier, and nothing else. 19 of what is sold by the token are
asked of every model, the others of those that are sold by the piece."""

SHAPES = {
    "plain": ({"input": 1_000, "output": 500}, None),
    "cached": ({"input": 1_000, "cache_read": 9_000, "output": 500}, None),
    "written": ({"input": 1_000, "cache_write": 4_000, "output": 500}, None),
    "written-1h": ({"input": 1_000, "cache_write_1h": 4_000, "output": 500}, None),
    "reasoning": ({"input": 1_000, "output": 300, "output_reasoning": 700}, None),
    "audio-in": ({"input": 1_000, "input_audio": 2_000, "output": 500}, None),
    "audio-out": ({"input": 1_000, "output": 100, "output_audio": 400}, None),
    "image-in": ({"input": 1_000, "input_image": 1_500, "output": 500}, None),
    "image-out": ({"input": 1_000, "output": 100, "output_image": 1_290}, None),
    "batch": ({"input": 1_000, "output": 500}, "batch"),
    "batch-cached": ({"input": 1_000, "cache_read": 9_000, "output": 500}, "batch"),
    "flex": ({"input": 1_000, "output": 500}, "flex"),
    "priority": ({"input": 1_000, "output": 500}, "priority"),
    "200k": ({"input": 200_000, "output": 500}, None),
    "200k+1": ({"input": 200_001, "output": 500}, None),
    "272k+1": ({"input": 272_001, "output": 500}, None),
    "cached-long": ({"input": 1_000, "cache_read": 299_000, "output": 500}, None),
    "priority-long": ({"input": 300_000, "output": 500}, "priority"),
    "web-search": ({"input": 1_000, "output": 500, "web_search": 1}, None),
}

PIECES = {
    "images": ({"output_image_unit": 2}, None),
    "transcribed-seconds": ({"input_audio_second": 60_000}, None),
    "spoken-characters": ({"input_character": 1_000}, None),
    "video-seconds": ({"output_video_second": 5_000}, None),
    "rerank-queries": ({"rerank_search": 3}, None),
    "pages": ({"page": 4}, None),
    "annotated-pages": ({"page_annotated": 4}, None),
}
USAGES = SHAPES | PIECES

INPUT = ("input", "cache_read", "cache_write", "cache_write_1h", "input_audio", "input_image")
OUTPUT = ("output", "output_reasoning", "output_audio", "output_image")


def totals(usage):
    """Input and output with everything that is part of them."""
    return sum(usage.get(key, 0) for key in INPUT), sum(usage.get(key, 0) for key in OUTPUT)
