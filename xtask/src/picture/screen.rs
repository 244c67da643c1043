// SPDX-License-Identifier: MIT OR Apache-2.0
//! The picture of the demo: the lines of its terminal that tell the story, with the time of each step. Commands and outputs are
//! those of the transcript; checksums and lines that are too long end in `…`.

use anyhow::{Context, Result, ensure};

use super::svg::{Anchor, Svg};

/// Letters in a line of the picture.
const COLUMNS: usize = 112;
/// Pixels a letter.
const LETTER: f64 = 7.8;
/// Pixels a line.
const LINE: f64 = 18.0;
const MARGIN: f64 = 18.0;

/// Which lines of a command's output are shown.
#[derive(Clone, Copy)]
enum Output {
    All,
    /// Those that have one of these in them.
    Having(&'static [&'static str]),
    Nothing,
}

/// A command that is shown: how it begins.
type Shown = (&'static str, Output);

const STATUS: Output = Output::Having(&[".0", "Version:", "Next boot:"]);

/// The commands that are shown of each step, in the order of the transcript.
const STEPS: [&[Shown]; 7] = [
    &[],
    &[("ostree --repo=updates/repo commit", Output::All)],
    &[
        ("ostree admin init-fs", Output::Nothing),
        ("ostree --repo=root/ostree/repo pull-local", Output::All),
        ("ostree admin --sysroot=root deploy", Output::All),
    ],
    &[
        ("ostree --repo=updates/repo commit", Output::Nothing),
        ("ostree --repo=updates/repo diff", Output::All),
    ],
    &[
        ("echo \"edited by hand\"", Output::Nothing),
        ("ostree admin upgrade --stage", Output::All),
        ("ostree admin status", STATUS),
        ("echo \"edited while", Output::Nothing),
        ("systemctl reboot", Output::Nothing),
    ],
    &[
        ("cat /usr/share/doc/news", Output::All),
        ("grep edited /etc/issue", Output::All),
        ("ostree admin rollback", Output::All),
        ("systemctl reboot", Output::Nothing),
    ],
    &[("ostree admin status", STATUS), ("grep edited /etc/issue", Output::All)],
];

/// A step of the transcript.
struct Step<'a> {
    title: &'a str,
    /// As it is printed, `(1.2 s)`.
    time: &'a str,
    commands: Vec<(&'a str, Vec<&'a str>)>,
}

/// Draws the transcript.
pub(super) fn draw(transcript: &str) -> Result<String> {
    let steps = parse(transcript);
    ensure!(steps.len() == STEPS.len(), "the demo has {} steps, and {} are shown", steps.len(), STEPS.len());
    let mut lines = vec![Line::new("command", "$ ./run demo")];
    for (step, shown) in steps.iter().zip(STEPS) {
        ensure!(!step.time.is_empty(), "{:?} did not end", step.title);
        lines.push(Line { time: step.time.to_owned(), ..Line::new("strong", step.title) });
        let mut commands = step.commands.iter();
        for (begins, output) in shown {
            let (command, said) = commands
                .find(|(command, _)| command.starts_with(begins))
                .with_context(|| format!("{:?} has no command {begins:?}", step.title))?;
            lines.push(Line::new("command", &format!("    $ {command}")));
            lines.extend(said.iter().filter(|line| output.has(line)).map(|line| {
                let class = if line.trim_start().starts_with("Next boot:") { "good" } else { "" };
                Line::new(class, &format!("      {line}"))
            }));
        }
    }
    let end = transcript.lines().find(|line| line.trim_start().starts_with("All of it: "));
    let end = end.context("the demo did not end")?.split(". ").next().unwrap_or_default();
    lines.push(Line::new("dim", &format!("{}.", end.trim())));
    Ok(picture(&lines))
}

struct Line {
    class: &'static str,
    text: String,
    /// Stands at the right end.
    time: String,
}

impl Line {
    fn new(class: &'static str, text: &str) -> Self {
        let mut text = shortened(text.trim_end());
        if text.chars().count() > COLUMNS {
            text = text.chars().take(COLUMNS - 1).chain(['…']).collect();
        }
        Self { class, text, time: String::new() }
    }
}

impl Output {
    fn has(self, line: &str) -> bool {
        match self {
            Self::All => true,
            Self::Having(parts) => parts.iter().any(|part| line.contains(part)),
            Self::Nothing => false,
        }
    }
}

fn picture(lines: &[Line]) -> String {
    let width = 2.0 * MARGIN + COLUMNS as f64 * LETTER;
    let height = 2.0 * MARGIN + lines.len() as f64 * LINE - 4.0;
    let mut svg = Svg::new(width, height, "The terminal of ./run demo");
    for (index, line) in lines.iter().enumerate() {
        let y = MARGIN + 10.0 + index as f64 * LINE;
        // The blanks in front are no part of the text, which renderers differ about.
        let blanks = line.text.chars().take_while(|letter| *letter == ' ').count();
        let text = line.text.trim_start();
        let wide = |text: &str| text.chars().count() as f64 * LETTER;
        if !text.is_empty() {
            svg.grid_text(MARGIN + blanks as f64 * LETTER, y, wide(text), line.class, text);
        }
        if !line.time.is_empty() {
            svg.text(width - MARGIN, y, Anchor::End, "m dim", &line.time);
        }
    }
    svg.finish()
}

fn parse(transcript: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for line in transcript.lines() {
        if line.starts_with("==> ") {
            steps.push(Step { title: line, time: "", commands: Vec::new() });
            continue;
        }
        let Some(step) = steps.last_mut() else { continue };
        if let Some(command) = line.strip_prefix("    $ ") {
            step.commands.push((command, Vec::new()));
        } else if let (Some(said), Some((_, output))) =
            (line.strip_prefix("      "), step.commands.last_mut())
        {
            output.push(said);
        } else if line.starts_with("    (") && line.ends_with(" s)") {
            step.time = line.trim();
        }
    }
    steps
}

/// Cuts each checksum down to its first letters.
fn shortened(text: &str) -> String {
    let mut short = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end.max(first.len_utf8()));
        match word.get(..8) {
            Some(begin) if word.len() == 64 => short.extend([begin, "…"]),
            _ => short.push_str(word),
        }
        rest = after;
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript() -> String {
        let mut text = String::new();
        for (index, shown) in STEPS.iter().enumerate() {
            text += &format!("\n==> {}/7 Step <{index}>\n", index + 1);
            for (begins, _) in *shown {
                text += &format!(
                    "    $ not this\n      nor this\n    $ {begins} x\n      Version: 1\n      other\n"
                );
            }
            text += "    (1.5 s)\n";
        }
        text + "\n    All of it: 9 s. `./run vm` gives more.\n"
    }

    #[test]
    fn the_lines_that_are_chosen_are_shown() {
        let drawn = draw(&transcript()).unwrap();
        assert!(!drawn.contains("this") && drawn.contains(">$ ostree admin init-fs x</text>"), "{drawn}");
        assert!(drawn.contains(">==&gt; 3/7 Step &lt;2&gt;</text>"), "{drawn}");
        assert_eq!(drawn.matches(">(1.5 s)</text>").count(), 7);
        assert_eq!(
            (drawn.matches(">Version: 1<").count(), drawn.matches(">other<").count()),
            (11, 9),
            "{drawn}"
        );
        assert!(drawn.contains(">All of it: 9 s.</text>"));
    }

    #[test]
    fn a_story_that_lacks_something_is_an_error() {
        let whole = transcript();
        for gone in ["==> 7/7", "    $ ostree admin rollback x", "    (1.5 s)", "    All of it"] {
            assert!(draw(&whole.replace(gone, "")).is_err(), "{gone}");
        }
    }

    #[test]
    fn checksums_are_cut() {
        let sum = "7fedc79e8e113fdc5256a111359dd319075f5da64d411c10edc443937538bc7a";
        assert_eq!(shortened(&format!("debian {sum}.0 – abc")), "debian 7fedc79e….0 – abc");
        assert_eq!(shortened(&format!("{sum}0")), format!("{sum}0"));
        assert_eq!(Line::new("", &"x".repeat(200)).text.chars().count(), COLUMNS);
    }
}
