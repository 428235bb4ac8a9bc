#!/bin/sh
# Builds a PostgreSQL container image from Debian packages, for machines that reach a Debian mirror but no registry.
#
#   build.sh SUITE MAJOR TAG        e.g.  build.sh trixie 17 gapless-postgres:17-trixie
#   (bookworm has PostgreSQL 15, trixie 17, forky 18)
#
# Needs root, apt on Debian, and a Docker engine. The mirror is the one apt is configured with. The system is not
# changed: a missing debootstrap is unpacked into a temporary directory. entrypoint.sh must lie next to this script.
set -eu

[ $# -eq 3 ] || { echo "usage: $0 SUITE MAJOR TAG" >&2; exit 2; }
suite=$1 major=$2 tag=$3
here=$(cd "$(dirname "$0")" && pwd)

say() { echo "image $tag: $*"; }
die() { echo "image $tag: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || die "building it needs root (debootstrap makes a root file system)"
for tool in apt-get dpkg docker tar flock; do
    command -v "$tool" >/dev/null || die "building it needs the program '$tool', which is not installed"
done

# Several test processes may ask at once: the first builds, the others find it done. The lock falls with the process.
exec 9>"${TMPDIR:-/tmp}/gapless-image-$(echo "$tag" | tr -c 'A-Za-z0-9\n' _).lock"
flock 9
if docker image inspect "$tag" >/dev/null 2>&1; then
    exit 0
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/gapless-image-XXXXXX")
root=$work/root
cleanup() {
    # A build that was interrupted may have left these mounted; the one-file-system guard is for the same case.
    for dir in proc sys; do umount -l "$root/$dir" 2>/dev/null || true; done
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Calls apt-get; with a package list of its own when the machine's is empty (as in a fresh container).
private_lists=
apt() {
    if [ -n "$private_lists" ]; then
        apt-get -o Dir::State::lists="$work/lists" -o APT::Sandbox::User=root "$@"
    else
        apt-get -o APT::Sandbox::User=root "$@"
    fi
}
# Prints the address of Debian's main archive as apt has it; never of its security or update suites.
find_mirror() {
    apt indextargets --format '$(ORIGIN)|$(COMPONENT)|$(CODENAME)|$(REPO_URI)' 'Created-By: Packages' |
        awk -F'|' '$1 == "Debian" && $2 == "main" && $3 !~ /-/ { print $4; exit }'
}
mirror=$(find_mirror)
if [ -z "$mirror" ]; then
    say "no Debian package list on this machine, fetching one"
    private_lists=yes
    mkdir -p "$work/lists/partial"
    apt -qq update || die "apt-get update failed"
    mirror=$(find_mirror)
fi
[ -n "$mirror" ] || die "apt is configured with no Debian archive (is this machine Debian?)"

debootstrap=$(command -v debootstrap || true)
if [ -z "$debootstrap" ]; then
    say "debootstrap is not installed, unpacking it into a temporary directory"
    (cd "$work" && apt -qq download debootstrap) || die "cannot download debootstrap"
    dpkg -x "$work"/debootstrap_*.deb "$work/tool"
    debootstrap=$work/tool/usr/sbin/debootstrap
    export DEBOOTSTRAP_DIR="$work/tool/usr/share/debootstrap"
fi
# A suite newer than this debootstrap has no script of its own; all of Debian's are the same one as sid's.
scripts=${DEBOOTSTRAP_DIR:-/usr/share/debootstrap}/scripts
script=$scripts/$suite
[ -e "$script" ] || script=$scripts/sid

# pgTAP is 1 MB, and lets the tests of catalog facts run (TestCatalogFactsByPgTAP).
say "installing postgresql-$major and pgTAP from Debian $suite"
"$debootstrap" --variant=minbase --include="postgresql-$major,postgresql-$major-pgtap,ca-certificates" \
    "$suite" "$root" "$mirror" "$script" >"$work/log" 2>&1 9>&- || {
    # An archive's address may hold a password.
    tail -n 15 "$work/log" | sed 's|//[^/ @]*@|//|' >&2
    die "debootstrap failed"
}

say "trimming and packing"
rm -rf "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/locale/* \
    "$root"/usr/share/postgresql/*/man "$root"/var/lib/apt/lists/* "$root"/var/cache/* "$root"/var/log/* \
    "$root"/var/lib/postgresql/* "$root"/etc/postgresql/* "$root"/debootstrap
# The archive the packages came from is this machine's business, not the image's.
rm -f "$root"/etc/apt/sources.list
install -m 0755 "$here/entrypoint.sh" "$root/usr/local/bin/docker-entrypoint.sh"

base=$tag-base
tar -C "$root" --numeric-owner -c . | docker import - "$base" >/dev/null || die "docker import failed"
# `docker import --change` knows no STOPSIGNAL, so the settings are a build of their own (no layer is copied). SIGINT is
# PostgreSQL's fast shutdown; the default SIGTERM would wait for every session to leave. The volume keeps the data off the
# image's layered file system, which costs a factor where that runs in user space.
docker build -q -t "$tag" - >/dev/null <<DOCKERFILE || die "docker build failed"
FROM $base
ENV PATH=/usr/lib/postgresql/$major/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV PGDATA=/var/lib/postgresql/data LANG=C.UTF-8
LABEL gapless.image.source=debian-$suite
VOLUME /var/lib/postgresql/data
EXPOSE 5432
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
DOCKERFILE
docker rmi --no-prune "$base" >/dev/null
say "done"
