// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pictures of README and docs. Each is drawn from a text of this repository and from nothing else, so that a rule of
//! `./run lint` can say whether it still shows what the text says.

mod ratios;
mod screen;
mod states;
mod svg;
mod table;

use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace::Workspace;
#[cfg(test)]
pub(crate) use ratios::draw as ratios;

/// The text that the demo printed when it was recorded last.
pub(crate) const TRANSCRIPT: &str = "docs/pictures/demo.txt";

/// One picture: where it is, the text that it shows, and how it is drawn.
struct Picture {
    path: &'static str,
    source: &'static str,
    draw: fn(&str) -> Result<String>,
}

const PICTURES: [Picture; 3] = [
    Picture { path: "docs/pictures/demo.svg", source: TRANSCRIPT, draw: screen::draw },
    Picture { path: "docs/pictures/performance.svg", source: "docs/performance.md", draw: ratios::draw },
    Picture { path: "docs/pictures/reliability.svg", source: "docs/reliability.md", draw: states::draw },
];

/// Draws every picture anew; returns the paths of those that changed, relative to the checkout.
pub(crate) fn draw_all(workspace: &Workspace) -> Result<Vec<&'static str>> {
    let mut changed = Vec::new();
    for picture in &PICTURES {
        let drawn = picture.draw_from(&workspace.root)?;
        let path = workspace.root.join(picture.path);
        if std::fs::read_to_string(&path).ok().as_deref() != Some(drawn.as_str()) {
            std::fs::write(&path, drawn).with_context(|| format!("Writing {}", path.display()))?;
            changed.push(picture.path);
        }
    }
    Ok(changed)
}

/// Returns the paths of the pictures that do not show what their text says.
pub(crate) fn stale(root: &Path) -> Result<Vec<String>> {
    let mut stale = Vec::new();
    for picture in &PICTURES {
        let drawn = picture.draw_from(root)?;
        let path = root.join(picture.path);
        let there = std::fs::read_to_string(&path).with_context(|| format!("Reading {}", path.display()))?;
        if there != drawn {
            stale.push(format!("{} (of {})", picture.path, picture.source));
        }
    }
    Ok(stale)
}

impl Picture {
    fn draw_from(&self, root: &Path) -> Result<String> {
        let path = root.join(self.source);
        let text = std::fs::read_to_string(&path).with_context(|| format!("Reading {}", path.display()))?;
        (self.draw)(&text).with_context(|| format!("Drawing {} from {}", self.path, self.source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_another_text_is_stale() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let copy = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(copy.path().join("docs/pictures")).unwrap();
        for picture in &PICTURES {
            for name in [picture.path, picture.source] {
                std::fs::copy(root.join(name), copy.path().join(name)).unwrap();
            }
        }
        assert_eq!(stale(copy.path()).unwrap(), [""; 0]);
        let page = copy.path().join("docs/performance.md");
        let text = std::fs::read_to_string(&page).unwrap();
        let changed = text.replacen("| 0.5 |", "| 0.4 |", 1);
        assert_ne!(changed, text);
        std::fs::write(&page, changed).unwrap();
        assert_eq!(stale(copy.path()).unwrap(), ["docs/pictures/performance.svg (of docs/performance.md)"]);
    }
}
