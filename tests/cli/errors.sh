# each failure names the thing; 1 failed, 2 usage; nothing is left behind
try() {
    "$@" 2>err.txt
    code=$?
    head -n 1 err.txt
    echo "exit $code"
}
try ndshare print $T-none
try ndshare print
try ndshare nonsense
try ndshare create $T-a
try ndshare create $T-a --shape 2,x
try ndshare create $T-a --shape 2 --dtype nonsense
try ndshare create $T-a --shape 2 --dtype O
try ndshare create $T-a --shape 4000000000,4000000000,4000000000
try ndshare create $T-a --shape 2 --fill 1 --arange
try ndshare create $T-a --shape 2 --fill hello
try ndshare create $T-a --shape 2 --colour red
try ndshare create 'bad name' --shape 2
ndshare create $T-a --shape 2
try ndshare create $T-a --shape 2
try ndshare print "$T-a[5]"
try ndshare print "$T-a[0,0]"
try ndshare print "$T-a[x]"
try ndshare fill $T-a hello
try ndshare load none.npy $T-b
echo hello > bad.npy
try ndshare load bad.npy $T-b
try ndshare wait $T-none --timeout 0.05
try ndshare rm $T-none
ndshare rm $T-a
