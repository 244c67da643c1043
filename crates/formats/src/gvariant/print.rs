// SPDX-License-Identifier: MIT OR Apache-2.0
//! GLib's text format, as `g_variant_print` writes it.

use std::fmt::{self, Write};

use super::{Error, Variant};

/// The text with type annotations where the reader of the text could not guess the type, as
/// `g_variant_print (value, TRUE)`; a broken part ends in `fmt::Error`.
impl fmt::Display for Variant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, Style { annotate: true, swap: false }).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for Variant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        match self.print(&mut text, Style { annotate: true, swap: false }) {
            Ok(()) => f.write_str(&text),
            Err(_) => write!(f, "broken {} of {} bytes", self.type_string(), self.data().len()),
        }
    }
}

impl Variant<'_> {
    /// The text form, with type annotations if `annotate`.
    pub fn to_text(&self, annotate: bool) -> Result<String, Error> {
        let mut text = String::new();
        self.print(&mut text, Style { annotate, swap: false })?;
        Ok(text)
    }

    /// The text form, with the bytes of every number in reverse order if `swap`: objects hold big-endian numbers.
    pub fn to_text_of(&self, annotate: bool, swap: bool) -> Result<String, Error> {
        let mut text = String::new();
        self.print(&mut text, Style { annotate, swap })?;
        Ok(text)
    }

    fn print(&self, out: &mut impl Write, style: Style) -> Result<(), Error> {
        let Style { annotate, swap } = style;
        // A String or a formatter refuses text only when its reader is gone.
        let mut put = |text: fmt::Arguments<'_>| out.write_fmt(text).map_err(|_| Error::TooDeep);
        let hint = |name: &'static str| if annotate { name } else { "" };
        match self.type_string().as_bytes().first() {
            Some(b'b') => put(format_args!("{}", self.as_bool()?)),
            Some(b'y') => put(format_args!("{}0x{:02x}", hint("byte "), self.as_u8()?)),
            Some(b'n') => {
                put(format_args!("{}{}", hint("int16 "), swapped(self.as_i16()?, i16::swap_bytes, swap)))
            }
            Some(b'q') => {
                put(format_args!("{}{}", hint("uint16 "), swapped(self.as_u16()?, u16::swap_bytes, swap)))
            }
            Some(b'i') => put(format_args!("{}", swapped(self.as_i32()?, i32::swap_bytes, swap))),
            Some(b'h') => {
                put(format_args!("{}{}", hint("handle "), swapped(self.as_handle()?, i32::swap_bytes, swap)))
            }
            Some(b'u') => {
                put(format_args!("{}{}", hint("uint32 "), swapped(self.as_u32()?, u32::swap_bytes, swap)))
            }
            Some(b'x') => {
                put(format_args!("{}{}", hint("int64 "), swapped(self.as_i64()?, i64::swap_bytes, swap)))
            }
            Some(b't') => {
                put(format_args!("{}{}", hint("uint64 "), swapped(self.as_u64()?, u64::swap_bytes, swap)))
            }
            Some(b'd') => put(format_args!(
                "{}",
                double(swapped(self.as_f64()?, |d| f64::from_bits(d.to_bits().swap_bytes()), swap))
            )),
            Some(b's') => put(format_args!("{}", quoted(self.as_str()?))),
            Some(b'o') => put(format_args!("{}'{}'", hint("objectpath "), self.as_str()?)),
            Some(b'g') => put(format_args!("{}'{}'", hint("signature "), self.as_str()?)),
            Some(b'v') => {
                put(format_args!("<"))?;
                self.as_variant()?.print(out, Style { annotate: true, swap })?;
                out.write_char('>').map_err(|_| Error::TooDeep)
            }
            Some(b'm') => self.print_maybe(out, style),
            _ => self.print_container(out, style),
        }
    }

    fn print_maybe(&self, out: &mut impl Write, style: Style) -> Result<(), Error> {
        let mut put = |text: &str| out.write_str(text).map_err(|_| Error::TooDeep);
        if style.annotate {
            put("@")?;
            put(self.type_string())?;
            put(" ")?;
        }
        let mut inner = *self;
        let mut depth = 0;
        while inner.type_string().starts_with('m') {
            match inner.as_maybe()? {
                Some(value) => inner = value,
                // A nothing inside needs a `just` for each maybe around it.
                None => {
                    for _ in 0..depth {
                        put("just ")?;
                    }
                    return put("nothing");
                }
            }
            depth += 1;
        }
        inner.print(out, Style { annotate: false, ..style })
    }

    fn print_container(&self, out: &mut impl Write, mut style: Style) -> Result<(), Error> {
        let broken = |_| Error::TooDeep;
        let ty = self.type_string();
        if let Some(text) = (ty == "ay").then(|| byte_string(self.data())).flatten() {
            return out.write_str(&text).map_err(broken);
        }
        let array = ty.starts_with('a');
        let dict = ty.starts_with("a{");
        let (open, close) = match ty.as_bytes() {
            [b'a', b'{', ..] | [b'{', ..] => ('{', '}'),
            [b'a', ..] => ('[', ']'),
            _ => ('(', ')'),
        };
        if array && style.annotate && self.iter()?.next().is_none() {
            write!(out, "@{ty} ").map_err(broken)?;
        }
        out.write_char(open).map_err(broken)?;
        let mut count = 0;
        for child in self.iter()? {
            let child = child?;
            if count > 0 {
                out.write_str(", ").map_err(broken)?;
            }
            if dict {
                child.child(0)?.print(out, style)?;
                out.write_str(": ").map_err(broken)?;
                child.child(1)?.print(out, style)?;
            } else {
                child.print(out, style)?;
            }
            // The first element tells the type of all.
            style.annotate &= !array;
            count += 1;
        }
        if ty.starts_with('(') && count == 1 {
            out.write_char(',').map_err(broken)?;
        }
        out.write_char(close).map_err(broken)
    }
}

/// How a value is printed.
#[derive(Debug, Clone, Copy)]
struct Style {
    /// Types that a reader could not guess are told.
    annotate: bool,
    /// Numbers are of the other byte order.
    swap: bool,
}

fn swapped<T>(number: T, swap: impl FnOnce(T) -> T, yes: bool) -> T {
    if yes { swap(number) } else { number }
}

/// The text of a string, in quotes: double ones if it holds a single one.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        if c == quote || c == '\\' {
            out.push('\\');
        }
        match (is_printable(c), c) {
            (true, c) => out.push(c),
            (false, '\x07') => out.push_str("\\a"),
            (false, '\x08') => out.push_str("\\b"),
            (false, '\x0c') => out.push_str("\\f"),
            (false, '\n') => out.push_str("\\n"),
            (false, '\r') => out.push_str("\\r"),
            (false, '\t') => out.push_str("\\t"),
            (false, '\x0b') => out.push_str("\\v"),
            (false, c) if u32::from(c) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            (false, c) => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push(quote);
    out
}

/// Near to `g_unichar_isprint`: all but control, format and unassigned characters. Combining marks count as
/// printable, though Rust's debug form escapes them.
fn is_printable(c: char) -> bool {
    let escaped = c.escape_debug().len() > 1;
    !c.is_control()
        && (!escaped
            || c.is_alphanumeric()
            || c.is_whitespace()
            || matches!(c, '\'' | '"' | '\\' | '\u{300}'..='\u{36f}'))
}

/// `b'…'`, if the bytes are a text in the C sense: one zero byte, at the end.
fn byte_string(bytes: &[u8]) -> Option<String> {
    let Some((&0, text)) = bytes.split_last() else { return None };
    if text.contains(&0) {
        return None;
    }
    let quote = if text.contains(&b'\'') { '"' } else { '\'' };
    let mut out = format!("b{quote}");
    for &byte in text {
        match byte {
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x0b => out.push_str("\\v"),
            b'\\' => out.push_str("\\\\"),
            b'"' => out.push_str("\\\""),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\{byte:03o}")),
        }
    }
    out.push(quote);
    Some(out)
}

/// 17 significant digits as C's `%.17g`, with a point so that it does not look like an integer.
fn double(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:.16e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let strip = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if !(-4..17).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", strip(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(16 - exponent).unwrap_or(0);
    let text = strip(&format!("{number:.decimals$}"));
    if text.contains('.') { text } else { text + ".0" }
}
