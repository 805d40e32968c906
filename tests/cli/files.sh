# save, load, and .npy files under their path
ndshare create $T-a --shape 2,3 --arange --dtype '<i4'
ndshare save $T-a a.npy
ndshare save "$T-a[:,1]" ./column.npy
ndshare print ./a.npy --repr
ndshare print ./column.npy --repr
ndshare load a.npy $T-b
ndshare print $T-b
ndshare add "./a.npy[1]" 100
ndshare print ./a.npy
ndshare info ./a.npy
ndshare load a.npy $T-b 2>&1
echo "exit $?"
ndshare load a.npy $T-b --replace
ndshare print $T-b
ndshare rm $T-a $T-b
