# Serves those books of $LIBRARY (names, by comma) whose ZIM files lie in $BOOKS.
set -eu
library="$BOOKS/library.xml"
echo '<library version="20110515"></library>' > "$library.new"
IFS=,
for book in $LIBRARY; do
  for zim in "$BOOKS/$book"*.zim; do
    if [ -e "$zim" ]; then kiwix-manage "$library.new" add "$zim"; else echo "$book: no ZIM file in $BOOKS"; fi
  done
done
mv "$library.new" "$library"
exec kiwix-serve --address="$ADDRESS" --port="$PORT" --library "$library" --monitorLibrary
