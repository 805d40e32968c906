# SPDX-License-Identifier: MIT
"""A stream, second stage: each frame's brightness profile, in Python.

Takes whole snapshots of "camera" and writes what it makes of them into
"profile", for any number of viewers in any language:

    ./camera & python3 filter.py & ./viewer
"""
import ndshare

camera = ndshare.attach("camera", mode="r", wait=10)
height, width = camera.shape
profile = ndshare.zeros((2, width), name="profile", replace=True,
                        lifetime="used")
seen, last = 0, False
while not last:
    camera.wait_changed(after=seen, timeout=10)
    seen = camera.generation
    frame = camera.snapshot()
    last = frame.max() == 65535
    with profile.writing():
        profile[0] = frame.mean(axis=0)
        profile[1] = frame.max(axis=0) - frame.min(axis=0)
