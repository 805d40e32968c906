# SPDX-License-Identifier: MIT
import os
from contextlib import AbstractContextManager
from typing import (Any, List, Literal, NamedTuple, Optional, Sequence, Tuple,
                    Union)

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ._core import (ArrayLock, attach as attach, trim as trim,
                    unlink as unlink)

_Shape = Union[int, Sequence[int]]
_Lifetime = Literal["unlinked", "used"]

class ndarray(np.ndarray[Any, np.dtype[Any]]):
    def __array_wrap__(self, arr: NDArray[Any], context: Any = ...,
                       return_scalar: bool = ...) -> Any: ...
    @property
    def name(self) -> Optional[str]: ...
    @property
    def lock(self) -> ArrayLock: ...
    @property
    def generation(self) -> int: ...
    def changed(self) -> None: ...
    def wait_changed(self, timeout: Optional[float] = ...,
                     after: Optional[int] = ...) -> bool: ...
    def writing(self, timeout: Optional[float] = ...
                ) -> AbstractContextManager[bool]: ...
    def snapshot(self, timeout: Optional[float] = ...) -> NDArray[Any]: ...
    def flush(self) -> None: ...

class NameInfo(NamedTuple):
    name: str
    kind: str
    dtype: Optional[str]
    shape: Optional[Tuple[int, ...]]
    order: str
    nbytes: int
    capacity: int
    lifetime: str
    mode: int
    uid: int
    users: int
    others: bool
    shape_generation: int
    generation: int
    lock_state: str

class Swept(NamedTuple):
    name: str
    removed: bool
    why: str

def zeros(shape: _Shape, dtype: DTypeLike = ..., order: Literal["C", "F"] = ...,
          *, name: Optional[str] = ..., lifetime: _Lifetime = ...,
          mode: int = ..., replace: bool = ...) -> ndarray: ...
def ones(shape: _Shape, dtype: DTypeLike = ..., order: Literal["C", "F"] = ...,
         *, name: Optional[str] = ..., lifetime: _Lifetime = ...,
         mode: int = ..., replace: bool = ...) -> ndarray: ...
def full(shape: _Shape, fill_value: ArrayLike, dtype: DTypeLike = ...,
         order: Literal["C", "F"] = ..., *, name: Optional[str] = ...,
         lifetime: _Lifetime = ..., mode: int = ...,
         replace: bool = ...) -> ndarray: ...
def empty(shape: _Shape, dtype: DTypeLike = ..., order: Literal["C", "F"] = ...,
          *, name: Optional[str] = ..., lifetime: _Lifetime = ...,
          mode: int = ..., replace: bool = ...) -> ndarray: ...
def array(object: ArrayLike, dtype: DTypeLike = ..., *,
          order: Literal["K", "A", "C", "F"] = ..., name: Optional[str] = ...,
          lifetime: _Lifetime = ..., mode: int = ...,
          replace: bool = ...) -> ndarray: ...
def from_file(path: Union[str, os.PathLike[str]],
              mode: Literal["r", "r+", "w+", "c"] = ...,
              dtype: Optional[DTypeLike] = ..., shape: Optional[_Shape] = ...,
              order: Literal["C", "F"] = ..., offset: int = ...
              ) -> ndarray: ...
def handle(a: NDArray[Any], hold: Optional[float] = ...) -> bytes: ...
def from_handle(token: bytes) -> ndarray: ...
def hold_seconds(seconds: Optional[float]) -> Optional[float]: ...
def lock(a: NDArray[Any]) -> ArrayLock: ...
def info(name: str) -> NameInfo: ...
def ls(all: bool = ...) -> List[NameInfo]: ...
def gc(dry_run: bool = ...) -> List[Swept]: ...
