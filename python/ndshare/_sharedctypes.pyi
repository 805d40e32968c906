# SPDX-License-Identifier: MIT
from typing import Any, Optional, Union

_Type = Union[str, type]

def RawValue(typecode_or_type: _Type, *args: Any, name: Optional[str] = ...,
             attach: bool = ...) -> Any: ...
def RawArray(typecode_or_type: _Type, size_or_initializer: Any = ..., *,
             name: Optional[str] = ..., attach: bool = ...) -> Any: ...
def Value(typecode_or_type: _Type, *args: Any, lock: Any = ...,
          ctx: object = ..., name: Optional[str] = ...,
          attach: bool = ...) -> Any: ...
def Array(typecode_or_type: _Type, size_or_initializer: Any = ..., *,
          lock: Any = ..., ctx: object = ..., name: Optional[str] = ...,
          attach: bool = ...) -> Any: ...
