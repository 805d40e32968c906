# fill, add, mul in place; reductions as Python prints scalars
ndshare create $T-a --shape 10,10 --fill 3
ndshare sum $T-a
ndshare add "$T-a[0]" 1
ndshare mul "$T-a[:,0]" -2
ndshare fill "$T-a[9,9]" 0
for op in sum min max mean argmin argmax any all; do
    echo "$op $(ndshare $op $T-a)"
done
ndshare std "$T-a[1:3,1:]"
ndshare var "$T-a[0,:2]"
ndshare prod "$T-a[0,:2]"
ndshare create $T-i --shape 5 --dtype int32 --arange
ndshare sum $T-i
ndshare mean $T-i
ndshare create $T-c --shape 2 --dtype c16 --fill 1+2j
ndshare sum $T-c
ndshare create $T-b --shape 3 --dtype bool
ndshare any $T-b
ndshare rm $T-a $T-i $T-c $T-b
