#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Makes a container of Debian ready for `./run`: the Rust that Cargo.toml names as the oldest, and git that reads a checkout of another user.
set -eu
version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
rustup toolchain install "$version" --profile minimal --component clippy --component rustfmt
rustup default "$version"
git config --global --add safe.directory "$PWD"
