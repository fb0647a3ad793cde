# Jellyfin looks for its pages beside itself, and ends without them; for ffmpeg on PATH. Its app for macOS has both
# elsewhere, where its own window tells it of them: so do we. The image has all in place, and is not on its own PATH.
set -eu

program=$(command -v jellyfin || echo /jellyfin/jellyfin)
app=${program%/MacOS/*}
if [ -d "$app/Resources/jellyfin-web" ]; then
  export JELLYFIN_WEB_DIR="$app/Resources/jellyfin-web" JELLYFIN_FFMPEG="$app/MacOS/ffmpeg"
fi
exec "$program"
