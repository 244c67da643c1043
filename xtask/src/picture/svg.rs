// SPDX-License-Identifier: MIT OR Apache-2.0
//! An SVG document with the few shapes that the pictures are made of. It needs no font of its own and no script, and has a light
//! and a dark scheme by a media query.

use std::fmt::{Display, Write as _};

/// Colours and fonts, by class. Text of class `m` is of a fixed width.
const STYLE: &str = "\
:root{color-scheme:light dark}\
.back{fill:#f6f8fa;stroke:#d0d7de}\
text{font:13px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#1f2328}\
.m{font:13px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}\
.title{font-weight:600;font-size:15px}.strong{font-weight:600}\
.dim{fill:#59636e}.command{fill:#0550ae}.good{fill:#116329}\
.bar{fill:#54aeff}.bad{fill:#cf222e}.rule{stroke:#8c959f}.faint{stroke:#d0d7de}.mark{stroke:#1f2328;stroke-width:1.5}\
@media(prefers-color-scheme:dark){\
.back{fill:#0d1117;stroke:#3d444d}text{fill:#e6edf3}\
.dim{fill:#9198a1}.command{fill:#79c0ff}.good{fill:#7ee787}\
.bar{fill:#1f6feb}.bad{fill:#f85149}.rule{stroke:#656c76}.faint{stroke:#2a313a}.mark{stroke:#e6edf3}}";

/// Where a text stands from its point.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture that grows by one shape after another. All lengths are in pixels.
pub(super) struct Svg {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

impl Svg {
    /// An empty one; the title is for those who do not see it.
    pub(super) fn new(width: f64, height: f64, title: &str) -> Self {
        Self { width, height, title: title.to_owned(), body: String::new() }
    }

    /// Writes a text whose base line begins, is centred or ends at a point.
    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        self.line(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\"{anchor} class=\"{class}\">{}</text>",
            escaped(text)
        ));
    }

    /// Writes a text in a grid: it takes the width that is given, whatever font there is.
    pub(super) fn grid_text(&mut self, x: f64, y: f64, width: f64, class: &str, text: &str) {
        self.line(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
             xml:space=\"preserve\" class=\"m {class}\">{}</text>",
            escaped(text)
        ));
    }

    /// Fills a rectangle; an opacity of 1 hides what is behind it.
    pub(super) fn rect(
        &mut self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        class: &str,
        opacity: f64,
    ) {
        let opacity = if opacity < 1.0 { format!(" fill-opacity=\"{opacity:.2}\"") } else { String::new() };
        self.line(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" class=\"{class}\"{opacity}/>"
        ));
    }

    /// Draws a straight line.
    pub(super) fn stroke(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        self.line(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
        ));
    }

    /// Returns the document.
    pub(super) fn finish(self) -> String {
        let Self { width, height, title, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n\
             <!-- SPDX-License-Identifier: MIT OR Apache-2.0 -->\n<title>{}</title>\n<style>{STYLE}</style>\n\
             <rect x=\"0.5\" y=\"0.5\" width=\"{:.0}\" height=\"{:.0}\" rx=\"8\" class=\"back\"/>\n{body}</svg>\n",
            escaped(&title),
            width - 1.0,
            height - 1.0,
        )
    }

    fn line(&mut self, shape: impl Display) {
        // A string takes whatever is written to it.
        let _ = writeln!(self.body, "{shape}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_nothing_comes_from_elsewhere() {
        let mut svg = Svg::new(100.0, 50.0, "a < b");
        svg.grid_text(8.0, 20.0, 42.0, "command", "$ x >>y && z");
        svg.rect((0.0, 0.0), (10.0, 5.0), "bar", 0.5);
        let text = svg.finish();
        assert!(
            text.contains("<title>a &lt; b</title>") && text.contains("$ x &gt;&gt;y &amp;&amp; z</text>")
        );
        assert!(text.contains("prefers-color-scheme:dark") && text.contains("fill-opacity=\"0.50\""));
        for foreign in ["href", "<script", "url(", "@import", "@font-face"] {
            assert!(!text.contains(foreign), "{foreign}");
        }
    }
}
