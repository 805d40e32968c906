# SPDX-License-Identifier: MIT
from typing import Any, List, Tuple

def pickled(obj: Any) -> Tuple[bytes, List[Any]]: ...
