# Serves those books of $LIBRARY (names, by comma) whose ZIM files lie in $BOOKS, or all that lie there while none of
# them does; a book that comes is served soon.
set -eu

wanted() {  # the ZIM files of the wanted books, one a line
  IFS=,
  for book in $LIBRARY; do
    for zim in "$BOOKS/$book"*.zim; do
      if [ -e "$zim" ]; then echo "$zim"; fi
    done
  done
}

books() {
  found=$(wanted)
  if [ -z "$found" ]; then found=$(ls "$BOOKS"/*.zim 2>/dev/null || true); fi
  if [ -n "$found" ]; then echo "$found"; fi
}

looks() {  # their sizes and times: a book that is still being copied looks different each time
  books | while read -r zim; do ls -ln "$zim"; done
}

library() {  # a book that cannot be read, since it is not there whole, is left out
  echo '<library version="20110515"></library>' > "$BOOKS/library.new"
  books | while read -r zim; do
    kiwix-manage "$BOOKS/library.new" add "$zim" || echo "$zim: cannot be read"
  done
  mv "$BOOKS/library.new" "$BOOKS/library.xml"
}

served=$(looks)
library
while sleep 5 && kill -0 $$; do  # $$ is what becomes kiwix-serve
  now=$(looks)
  if [ "$now" != "$served" ]; then library && served=$now; fi
done &
exec kiwix-serve --address="$ADDRESS" --port="$PORT" --library "$BOOKS/library.xml" --monitorLibrary
