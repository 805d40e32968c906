/* SPDX-License-Identifier: MIT */
/*
 * allow.c - the names a pickle may use, and nothing else
 *
 * A name is an opaque symbol: nothing is ever looked up in a program. What
 * Python 2 spelled otherwise, and what NumPy 2 moved, is brought to one
 * spelling first. Everything that is not in the table is refused.
 */
#include <pickle/value_impl.h>

#include <string.h>

#define BUILTIN(n, act) {"builtins", n, NDI_ACT_##act, false, NULL}
#define CLASS(n, act, dt) {"builtins", n, NDI_ACT_##act, true, dt}
#define NUMPY(n, dt) {"numpy", n, NDI_ACT_NUMBER, true, dt}
#define ERROR(n) {"builtins", n, NDI_ACT_EXCEPTION, false, NULL}
#define MANAGER(n, act) \
    {"multiprocessing.managers", n, NDI_ACT_##act, false, NULL}
#define PROXY(n) {"multiprocessing.managers", n, NDI_ACT_NONE, true, NULL}
#define CONTEXT(n) \
    {"multiprocessing.context", n, NDI_ACT_EXCEPTION, false, NULL}

static const struct ndi_symbol symbols[] = {
    {"numpy", "dtype", NDI_ACT_DTYPE, true, NULL},
    {"numpy", "ndarray", NDI_ACT_NDARRAY, true, NULL},
    {"numpy", "memmap", NDI_ACT_NONE, true, NULL},
    {"numpy.core.multiarray", "_reconstruct", NDI_ACT_RECONSTRUCT, false,
     NULL},
    {"numpy.core.multiarray", "scalar", NDI_ACT_SCALAR, false, NULL},
    {"numpy.core.numeric", "_frombuffer", NDI_ACT_FROMBUFFER, false, NULL},
    {"_codecs", "encode", NDI_ACT_ENCODE, false, NULL},
    {"array", "array", NDI_ACT_TYPED, true, NULL},
    {"array", "_array_reconstructor", NDI_ACT_TYPED, false, NULL},
    MANAGER("Token", TOKEN),
    MANAGER("RebuildProxy", PROXY),
    MANAGER("RemoteError", EXCEPTION),
    MANAGER("Namespace", OBJECT),
    MANAGER("Value", OBJECT),
    {"_queue", "Empty", NDI_ACT_EXCEPTION, false, NULL},
    {"queue", "Full", NDI_ACT_EXCEPTION, false, NULL},
    {"queue", "ShutDown", NDI_ACT_EXCEPTION, false, NULL},
    {"threading", "BrokenBarrierError", NDI_ACT_EXCEPTION, false, NULL},
    CONTEXT("AuthenticationError"),
    CONTEXT("ProcessError"),
    CONTEXT("BufferTooShort"),
    CONTEXT("TimeoutError"),
    PROXY("AutoProxy"),
    PROXY("ListProxy"),
    PROXY("DictProxy"),
    PROXY("SetProxy"),
    PROXY("ArrayProxy"),
    PROXY("AcquirerProxy"),
    PROXY("BarrierProxy"),
    PROXY("ConditionProxy"),
    PROXY("EventProxy"),
    PROXY("IteratorProxy"),
    PROXY("NamespaceProxy"),
    PROXY("PoolProxy"),
    PROXY("ValueProxy"),
    BUILTIN("set", SET),
    BUILTIN("frozenset", FROZENSET),
    BUILTIN("list", LIST),
    BUILTIN("iter", LIST), /* what a set of a stock manager is gone over by */
    BUILTIN("slice", SLICE),
    BUILTIN("range", RANGE),
    BUILTIN("bytearray", BYTEARRAY),
    BUILTIN("type", TYPE),
    BUILTIN("Ellipsis", ELLIPSIS),
    BUILTIN("NotImplemented", NOTIMPLEMENTED),
    CLASS("NoneType", NONE, NULL), /* made by type(None), see reducers.c */
    CLASS("int", NONE, "<i8"),
    CLASS("float", NONE, "<f8"),
    CLASS("bool", NONE, "|b1"),
    CLASS("complex", COMPLEX, "<c16"),
    CLASS("str", NONE, "<U0"),
    CLASS("bytes", BYTES, "|S0"),
    CLASS("object", NONE, NULL),
    NUMPY("float64", "<f8"),
    NUMPY("float32", "<f4"),
    NUMPY("float16", "<f2"),
    NUMPY("int8", "|i1"),
    NUMPY("int16", "<i2"),
    NUMPY("int32", "<i4"),
    NUMPY("int64", "<i8"),
    NUMPY("uint8", "|u1"),
    NUMPY("uint16", "<u2"),
    NUMPY("uint32", "<u4"),
    NUMPY("uint64", "<u8"),
    NUMPY("bool_", "|b1"),
    NUMPY("complex64", "<c8"),
    NUMPY("complex128", "<c16"),
    NUMPY("longdouble", "<f16"),
    NUMPY("clongdouble", NULL),
    NUMPY("str_", "<U0"),
    NUMPY("bytes_", "|S0"),
    NUMPY("void", "|V0"),
    NUMPY("datetime64", "<M8"),
    NUMPY("timedelta64", "<m8"),
    NUMPY("intc", "<i4"),
    NUMPY("uintc", "<u4"),
    NUMPY("longlong", "<i8"),
    NUMPY("ulonglong", "<u8"),
    NUMPY("intp", "<i8"),
    NUMPY("uintp", "<u8"),
    NUMPY("long", "<i8"),
    NUMPY("ulong", "<u8"),
    NUMPY("int_", "<i8"),
    NUMPY("half", "<f2"),
    NUMPY("single", "<f4"),
    NUMPY("double", "<f8"),
    NUMPY("csingle", "<c8"),
    NUMPY("cdouble", "<c16"),
    ERROR("ArithmeticError"),
    ERROR("AssertionError"),
    ERROR("AttributeError"),
    ERROR("BaseException"),
    ERROR("BlockingIOError"),
    ERROR("BrokenPipeError"),
    ERROR("BufferError"),
    ERROR("ChildProcessError"),
    ERROR("ConnectionAbortedError"),
    ERROR("ConnectionError"),
    ERROR("ConnectionRefusedError"),
    ERROR("ConnectionResetError"),
    ERROR("DeprecationWarning"),
    ERROR("EOFError"),
    ERROR("Exception"),
    ERROR("FileExistsError"),
    ERROR("FileNotFoundError"),
    ERROR("FloatingPointError"),
    ERROR("FutureWarning"),
    ERROR("IOError"),
    ERROR("ImportError"),
    ERROR("IndexError"),
    ERROR("InterruptedError"),
    ERROR("IsADirectoryError"),
    ERROR("KeyError"),
    ERROR("KeyboardInterrupt"),
    ERROR("LookupError"),
    ERROR("MemoryError"),
    ERROR("ModuleNotFoundError"),
    ERROR("NameError"),
    ERROR("NotADirectoryError"),
    ERROR("NotImplementedError"),
    ERROR("OSError"),
    ERROR("OverflowError"),
    ERROR("PermissionError"),
    ERROR("ProcessLookupError"),
    ERROR("RecursionError"),
    ERROR("ReferenceError"),
    ERROR("RuntimeError"),
    ERROR("RuntimeWarning"),
    ERROR("StopIteration"),
    ERROR("SystemError"),
    ERROR("SystemExit"),
    ERROR("TimeoutError"),
    ERROR("TypeError"),
    ERROR("UnicodeDecodeError"),
    ERROR("UnicodeEncodeError"),
    ERROR("UnicodeError"),
    ERROR("UnicodeTranslateError"),
    ERROR("UserWarning"),
    ERROR("ValueError"),
    ERROR("Warning"),
    ERROR("ZeroDivisionError"),
};

/* Other spellings of the same thing: Python 2's names at protocol 2, NumPy
 * 2's modules. A name NULL stands for any. */
static const struct {
    const char *module, *name, *to_module, *to_name;
} spellings[] = {
    {"__builtin__", "xrange", "builtins", "range"},
    {"__builtin__", "long", "builtins", "int"},
    {"__builtin__", "unicode", "builtins", "str"},
    {"__builtin__", NULL, "builtins", NULL},
    {"exceptions", NULL, "builtins", NULL},
    {"multiprocessing", "AuthenticationError", "multiprocessing.context",
     NULL},
    {"numpy._core.multiarray", NULL, "numpy.core.multiarray", NULL},
    {"numpy._core.numeric", NULL, "numpy.core.numeric", NULL},
    {"numpy", "bool", "numpy", "bool_"},
    {"numpy", "float128", "numpy", "longdouble"},
    {"numpy", "complex256", "numpy", "clongdouble"},
};

const struct ndi_symbol *
ndi_symbol_find(const char *module, const char *name)
{
    for (size_t i = 0; i < NDI_ARRAY_LEN(spellings); i++) {
        if (strcmp(module, spellings[i].module) == 0 &&
            (spellings[i].name == NULL ||
             strcmp(name, spellings[i].name) == 0)) {
            module = spellings[i].to_module;
            name = spellings[i].to_name != NULL ? spellings[i].to_name : name;
            break;
        }
    }
    for (size_t i = 0; i < NDI_ARRAY_LEN(symbols); i++) {
        if (strcmp(name, symbols[i].name) == 0 &&
            strcmp(module, symbols[i].module) == 0) {
            return &symbols[i];
        }
    }
    return NULL;
}

const struct ndi_symbol *
ndi_symbol_exception(const char *name)
{
    for (size_t i = 0; i < NDI_ARRAY_LEN(symbols); i++) {
        if (symbols[i].action == NDI_ACT_EXCEPTION &&
            strcmp(name, symbols[i].name) == 0 &&
            (strcmp(symbols[i].module, "builtins") == 0 ||
             ndi_symbol_find("builtins", name) == NULL)) {
            return &symbols[i];
        }
    }
    return NULL;
}
