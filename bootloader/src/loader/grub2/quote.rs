// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words of a script, so that GRUB takes them for what they are.

/// In single quotes, between which nothing means anything.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// As it is where it means nothing but itself.
pub(super) fn quote_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%^~".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { quote(word) }
}

/// A kernel argument, or an initrd of others: what is ours has the name of a stateroot in it, where a `$` is no variable. GRUB takes the quotes off, and puts its own around an argument with blanks; the kernel reads
/// `"a=b c"` as `a="b c"`.
///
/// Variables stay variables, as they are in a menu of `grub-mkconfig` and with `blscfg`: outside of quotes GRUB makes several arguments of
/// a value with blanks, and none of an empty one. All else means itself.
pub(super) fn script_word(arg: &str) -> String {
    let (mut script, mut literal, mut in_quotes) = (String::new(), String::new(), false);
    let mut rest = arg;
    while let Some(c) = rest.chars().next() {
        let length = if c == '$' { variable(rest) } else { None };
        let (here, after) = rest.split_at(length.unwrap_or(c.len_utf8()));
        match (length, c) {
            (Some(_), _) => {
                push_literal(&mut script, &mut literal);
                script += &if in_quotes { format!("\"{here}\"") } else { here.to_owned() };
            }
            (None, '"') => in_quotes = !in_quotes,
            (None, c) => literal.push(c),
        }
        rest = after;
    }
    push_literal(&mut script, &mut literal);
    if script.is_empty() { quote("") } else { script }
}

/// How long the `$name` or `${name}` is that a text begins with. GRUB's special variables (`$?`, `$1`) mean nothing in a menu.
fn variable(text: &str) -> Option<usize> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
            && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
    };
    let after = text.strip_prefix('$')?;
    if let Some(braced) = after.strip_prefix('{') {
        let (name, _) = braced.split_once('}')?;
        return is_name(name).then_some(name.len() + 3);
    }
    let end = after.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(after.len());
    after.get(..end).filter(|name| is_name(name)).map(|name| name.len() + 1)
}

/// Says what GRUB makes of a kernel argument, where that is not the argument: a variable in it and, of a text that is a script to
/// GRUB, what means something there. A variable that is all of the argument is meant as one.
pub(super) fn change_of(arg: &str, is_script: bool) -> Option<String> {
    let named = |at: usize| arg.get(at..).and_then(|rest| rest.get(..variable(rest)?));
    let name = arg.match_indices('$').find_map(|(at, _)| named(at).map(|name| (at, name)));
    if let Some((at, name)) = name.filter(|(_, name)| *name != arg) {
        let escaped = arg.get(..at).is_some_and(|before| before.ends_with('\\')) && !is_script;
        let escaped = if escaped { ", and the backslash before it stays" } else { "" };
        return Some(format!(
            "GRUB takes {name} in {arg} for a variable{escaped}; for a `$` put `set d='$'` into custom.cfg, and write ${{d}}"
        ));
    }
    let special = |c: char| "\\;'&|<>(){}`".contains(c);
    let special = arg.chars().find(|c| special(*c)).filter(|_| is_script && name.is_none())?;
    Some(format!("GRUB reads {arg} as a part of its script, in which {special} has a meaning of its own"))
}

/// Puts what means itself behind what is there. Behind a variable it must not become a part of the name.
fn push_literal(script: &mut String, literal: &mut String) {
    if literal.is_empty() {
        return;
    }
    let goes_on = literal.starts_with(|c: char| c == '_' || c.is_ascii_alphanumeric());
    *script += &if goes_on && !script.is_empty() { quote(literal) } else { quote_word(literal) };
    literal.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grub_changes_is_told() {
        for (arg, menu, script) in [
            ("quiet", None, None),
            ("$tuned_params", None, None),
            ("${kernelopts}", None, None),
            ("a=$1$?$", None, None),
            ("a=$b", Some("takes $b in a=$b for a variable;"), Some("takes $b in a=$b for a variable;")),
            ("a=x${b}y", Some("takes ${b} in"), Some("takes ${b} in")),
            ("a=\\$b", Some("and the backslash before it stays"), Some("takes $b in a=\\$b for a variable;")),
            ("a\\b", None, Some("in which \\ has a meaning")),
            ("a;b", None, Some("in which ; has a meaning")),
        ] {
            for (is_script, expected) in [(false, menu), (true, script)] {
                let told = change_of(arg, is_script);
                let is_expected = match (&told, expected) {
                    (Some(told), Some(expected)) => told.contains(expected),
                    (told, expected) => told.is_none() && expected.is_none(),
                };
                assert!(is_expected, "{arg} {is_script}: {told:?}");
            }
        }
    }

    #[test]
    fn words_mean_what_they_say() {
        for (word, quoted) in [
            ("root=LABEL=r", "root=LABEL=r"),
            ("a=\"b c\"", "'a=b c'"),
            ("a\\b", "'a\\b'"),
            ("a`b", "'a`b'"),
            ("a=$(reboot)", "'a=$(reboot)'"),
            ("a=$1$?$", "'a=$1$?$'"),
            ("a=${b;reboot}", "'a=${b;reboot}'"),
            ("a=${b", "'a=${b'"),
            ("a\n}reboot", "'a\n}reboot'"),
            // GRUB's variables, and nothing beside them.
            ("$tuned_params", "$tuned_params"),
            ("${a}b", "${a}'b'"),
            ("a=$b;c", "a=$b';c'"),
            ("$a\"b\"", "$a'b'"),
            ("$a$b", "$a$b"),
            ("a=\"b $c d\"", "'a=b '\"$c\"' d'"),
            ("\"$a\"", "\"$a\""),
            ("it's$a", r"'it'\''s'$a"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("a;b", "'a;b'"),
            ("console=ttyS0,115200", "console=ttyS0,115200"),
            ("grün", "'grün'"),
        ] {
            assert_eq!(script_word(word), quoted);
        }
    }
}
