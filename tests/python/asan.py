# SPDX-License-Identifier: MIT
"""Runs a Python program under AddressSanitizer and judges its leaks.

    asan.py RUNTIME PROGRAM [ARGS]

Python itself leaves memory to its end, so of what LeakSanitizer lists only
those blocks count that were allocated by the package or the library.
"""
import os
import re
import subprocess
import sys

runtime, *program = sys.argv[1:]
env = dict(os.environ, LD_PRELOAD=runtime, PYTHONMALLOC="malloc",
           ASAN_OPTIONS="detect_leaks=1:exitcode=0:abort_on_error=0:"
                        "halt_on_error=1:detect_stack_use_after_return=0:"
                        "fast_unwind_on_malloc=0:malloc_context_size=12",
           LSAN_OPTIONS="max_leaks=0:report_objects=0",
           UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")
run = subprocess.run([sys.executable, *program], env=env,
                     capture_output=True, text=True, errors="replace")
print(run.stdout, end="")
report = run.stderr
faults = re.findall(r"ERROR: AddressSanitizer.*|.*runtime error:.*", report)
leaks = [block for block in re.split(r"\n(?=(?:Direct|Indirect) leak)", report)
         if re.match(r"(Direct|Indirect) leak", block)]
# Frame 0 is malloc; who called it, or whose helper that is.
# Names that were interned stay for ever from Python 3.12 on.
interned = r"#[1-3] .* in (PyUnicode_InternFromString|PyModule_Add\w+) "
# So do those that a type is made with; a type itself is larger.
of_a_type = r"leak of \d\d byte(?s:.*) in py_add_type "
ours = [leak for leak in leaks
        if re.search(r"#[1-4] .*(in (nd[si]|py)_\w|_core\.|libndshare)", leak)
        and not re.search(interned, leak)
        and not re.search(of_a_type, leak)]
for leak in ours:
    print(leak)
if run.returncode != 0 or faults:
    print(report)
print(f"{len(leaks)} leaks of others, {len(ours)} of ours, "
      f"{len(faults)} faults, exit {run.returncode}")
sys.exit(1 if run.returncode != 0 or faults or ours else 0)
