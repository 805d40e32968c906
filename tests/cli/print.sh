# what is printed: whole, sliced, repr, older rules, every kind of dtype
ndshare create $T-a --shape 4,5 --arange --dtype '<f8'
ndshare print $T-a
ndshare print "$T-a[1:3, ::-2]"
ndshare print "$T-a[2]" --repr
ndshare print "$T-a[-1,-1]"
ndshare create $T-big --shape 1001 --arange --dtype '<i8'
ndshare print $T-big --repr
NDSHARE_NUMPY_PRINT=1.24 ndshare print $T-big --repr
ndshare create $T-rec --shape 2 --dtype "[('x', '<f4'), ('id', '|S3')]"
ndshare print $T-rec --repr
ndshare create $T-empty --shape 0,3
ndshare print $T-empty --repr
ndshare create $T-one --shape '()' --fill 1.5
ndshare print $T-one
ndshare rm $T-a $T-big $T-rec $T-empty $T-one
