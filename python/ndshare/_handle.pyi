# SPDX-License-Identifier: MIT
from typing import Optional

class Handle:
    @property
    def name(self) -> Optional[str]: ...
