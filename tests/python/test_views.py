# SPDX-License-Identifier: MIT
"""Any array, any basic index: what arrives is what NumPy says it is."""
import pickle

import numpy as np
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as npst

import ndshare

# Without titles and names with a NUL, which are refused.
DTYPES = st.one_of(
    npst.boolean_dtypes(), npst.integer_dtypes(), npst.floating_dtypes(),
    npst.complex_number_dtypes(), npst.datetime64_dtypes(),
    npst.timedelta64_dtypes(), npst.byte_string_dtypes(max_len=5),
    npst.unicode_string_dtypes(max_len=3),
    npst.array_dtypes(npst.integer_dtypes(), min_size=1, max_size=3).filter(
        lambda d: all(len(field) == 2 and "\0" not in name
                      for name, field in d.fields.items())))
ARRAYS = npst.arrays(DTYPES, npst.array_shapes(min_dims=0, max_dims=4,
                                               min_side=0, max_side=4))


@settings(max_examples=150, deadline=None, database=None)
@given(data=st.data(), source=ARRAYS, order=st.sampled_from("CFK"))
def test_any_view_crosses(data, source, order):
    a = ndshare.array(source, order=order)
    index = data.draw(npst.basic_indices(source.shape, allow_newaxis=True,
                                         allow_ellipsis=True))
    index = index if isinstance(index, tuple) else (index,)
    if not any(i is ... for i in index):
        index += (...,)  # an array, never a scalar
    view, want = a[index], source[index]
    got = pickle.loads(pickle.dumps(view))
    assert type(got) is ndshare.ndarray
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    assert got.size == 0 or all(  # along one element any stride will do
        g == v for n, g, v in zip(got.shape, got.strides, view.strides)
        if n > 1)
    assert got.tobytes() == view.tobytes() == want.tobytes()
    got[...] = np.zeros((), got.dtype)
    assert view.tobytes() == np.zeros_like(want).tobytes()
