# SPDX-License-Identifier: MIT OR Apache-2.0
# Runs a scenario's script in the guest and sends what it says through the virtio port, in sections that the host reads.
for port in /dev/vport*p*; do
    exec >"$port" 2>&1
done

# At a shutdown that the script has asked for it is told to end: after the last command.
trap : TERM

# section NAME COMMAND...: the command's output and its exit status.
section() {
    echo "@@ section $1"
    shift
    status=0
    "$@" || status=$?
    echo "@@ status $status"
}

echo "@@ begin"
. "${0%/*}/scenario.sh"
echo "@@ end"
