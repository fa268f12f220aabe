# Sourced by run and test: installs Debian packages that are missing.
#
# need_packages NAME... installs those that are not there; it says what it does, and names the command to run by hand
# where it has no right to.

need_packages() {
    local missing=() package
    command -v dpkg-query >/dev/null || {
        echo "maskwright: not a Debian-like system; make sure of: $*" >&2
        return 0
    }
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "maskwright: please install as root: apt-get install --no-install-recommends ${missing[*]}" >&2
            return 1
        }
        as_root=(sudo)
    fi
    echo "maskwright: installing ${missing[*]}" >&2
    "${as_root[@]}" apt-get update -qq >&2 &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# Libraries that the window loads while it runs (nothing of them is needed to build), and Mesa's drivers.
WINDOW_PACKAGES=(
    libx11-6 libx11-xcb1 libxcursor1 libxi6 libxkbcommon0 libxkbcommon-x11-0
    libwayland-client0 libwayland-cursor0 libwayland-egl1
    libvulkan1 mesa-vulkan-drivers libegl1 libgl1-mesa-dri
)

# What drives the window in tests: a display, a window manager, a mouse, the accessibility bus.
WINDOW_TEST_PACKAGES=(
    xvfb openbox xdotool x11-utils imagemagick dbus libglib2.0-bin at-spi2-core
    python3-pyatspi gir1.2-atspi-2.0
)
