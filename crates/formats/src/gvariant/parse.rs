// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading GLib's text format, for values given on a command line.
//!
//! GLib guesses the type of an array from all of its elements; here the first one decides.

use super::{Error, MAX_DEPTH, Value, types};

/// Why a text is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct ParseTextError {
    /// Offset in bytes.
    pub at: usize,
    /// The mistake there.
    pub what: String,
}

impl Value {
    /// The value that `text` stands for, such as `uint32 5`, `['a', 'b']` or `{'key': <true>}`.
    pub fn parse_text(text: &str) -> Result<Self, ParseTextError> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        let value = parser.value(None)?;
        parser.blanks();
        if parser.at < text.len() {
            return Err(parser.error("expected end of input"));
        }
        Ok(value)
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: u8,
}

type Parsed<T> = Result<T, ParseTextError>;

impl<'a> Parser<'a> {
    fn error(&self, what: impl Into<String>) -> ParseTextError {
        ParseTextError { at: self.at, what: what.into() }
    }

    fn shape(&self, error: Error) -> ParseTextError {
        self.error(error.to_string())
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, token: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn need(&mut self, token: &str) -> Parsed<()> {
        if self.eat(token) { Ok(()) } else { Err(self.error(format!("expected '{token}'"))) }
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_+-.".contains(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or("")
    }

    fn value(&mut self, expected: Option<&str>) -> Parsed<Value> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error("values nest too deep"));
        }
        self.depth += 1;
        self.blanks();
        let start = self.at;
        let value = self.any(expected)?;
        if expected.is_some_and(|expected| expected != value.type_string()) {
            self.at = start;
            let expected = expected.unwrap_or("");
            return Err(self.error(format!("can not parse as value of type '{expected}'")));
        }
        self.depth -= 1;
        Ok(value)
    }

    fn any(&mut self, expected: Option<&str>) -> Parsed<Value> {
        if let Some(element) = expected.and_then(|ty| ty.strip_prefix('m')) {
            return self.maybe(element);
        }
        match self.peek() {
            None => Err(self.error("expected value")),
            Some('@') => self.annotated(),
            Some('<') => {
                self.need("<")?;
                let inner = self.value(None)?;
                self.need(">")?;
                Ok(Value::variant(&inner))
            }
            Some('[') => self.array(expected),
            Some('{') => self.dict(expected),
            Some('(') => self.tuple(expected),
            Some('\'' | '"') => {
                let text = self.quoted()?;
                let ty = expected.filter(|ty| matches!(*ty, "o" | "g")).unwrap_or("s");
                if !types::is_text_of(ty, &text) {
                    return Err(self.error("not an object path or not a signature"));
                }
                Ok(Value::string(&text).retype_string(ty))
            }
            Some('b') if matches!(self.rest().as_bytes().get(1), Some(b'\'' | b'"')) => {
                self.at += 1;
                let mut bytes = self.byte_string()?;
                bytes.push(0);
                Ok(Value::bytes(&bytes))
            }
            Some(_) => self.keyword_or_number(expected),
        }
    }

    fn annotated(&mut self) -> Parsed<Value> {
        self.need("@")?;
        let (ty, rest) = types::split_first(self.rest()).map_err(|error| self.shape(error))?;
        self.at = self.text.len() - rest.len();
        self.value(Some(ty))
    }

    fn maybe(&mut self, element: &str) -> Parsed<Value> {
        let value = if self.rest().starts_with("nothing") {
            self.at += "nothing".len();
            None
        } else {
            if self.rest().starts_with("just ") {
                self.at += "just ".len();
            }
            Some(self.value(Some(element))?)
        };
        Value::maybe(element, value.as_ref()).map_err(|error| self.shape(error))
    }

    fn array(&mut self, expected: Option<&str>) -> Parsed<Value> {
        self.need("[")?;
        let mut element = expected.and_then(|ty| ty.strip_prefix('a')).map(str::to_owned);
        let mut children = Vec::new();
        while !self.eat("]") {
            if !children.is_empty() {
                self.need(",")?;
            }
            let child = self.value(element.as_deref())?;
            element.get_or_insert_with(|| child.type_string().to_owned());
            children.push(child);
        }
        let element = element.ok_or_else(|| self.error("unable to infer type"))?;
        Value::array(&element, &children).map_err(|error| self.shape(error))
    }

    fn dict(&mut self, expected: Option<&str>) -> Parsed<Value> {
        self.need("{")?;
        let mut entry = expected.and_then(|ty| ty.strip_prefix('a')).map(str::to_owned);
        let mut children = Vec::new();
        while !self.eat("}") {
            if !children.is_empty() {
                self.need(",")?;
            }
            let key_type = entry.as_deref().map(types::inner).and_then(|ty| ty.get(..1));
            let key = self.value(key_type)?;
            if children.is_empty() && self.eat(",") {
                let value = self.value(None)?;
                self.need("}")?;
                return Value::dict_entry(&key, &value).map_err(|error| self.shape(error));
            }
            self.need(":")?;
            let value_type = entry.as_deref().map(types::inner).and_then(|ty| ty.get(1..));
            let value = self.value(value_type)?;
            let child = Value::dict_entry(&key, &value).map_err(|error| self.shape(error))?;
            entry.get_or_insert_with(|| child.type_string().to_owned());
            children.push(child);
        }
        let entry = entry.ok_or_else(|| self.error("unable to infer type"))?;
        Value::array(&entry, &children).map_err(|error| self.shape(error))
    }

    fn tuple(&mut self, expected: Option<&str>) -> Parsed<Value> {
        self.need("(")?;
        let mut types = expected.map(types::inner);
        let mut children = Vec::new();
        while !self.eat(")") {
            if !children.is_empty() {
                self.need(",")?;
                if self.eat(")") {
                    break;
                }
            }
            let first = match types {
                Some(rest) => {
                    let (first, rest) = types::split_first(rest).map_err(|error| self.shape(error))?;
                    types = Some(rest);
                    Some(first)
                }
                None => None,
            };
            children.push(self.value(first)?);
        }
        Ok(Value::tuple(&children))
    }

    fn keyword_or_number(&mut self, expected: Option<&str>) -> Parsed<Value> {
        let start = self.at;
        let word = self.word();
        let ty = match word {
            "true" => return Ok(Value::from(true)),
            "false" => return Ok(Value::from(false)),
            "just" => {
                let inner = self.value(None)?;
                let ty = inner.type_string().to_owned();
                return Value::maybe(&ty, Some(&inner)).map_err(|error| self.shape(error));
            }
            "boolean" => "b",
            "byte" => "y",
            "int16" => "n",
            "uint16" => "q",
            "int32" => "i",
            "handle" => "h",
            "uint32" => "u",
            "int64" => "x",
            "uint64" => "t",
            "double" => "d",
            "string" => "s",
            "objectpath" => "o",
            "signature" => "g",
            _ => {
                let value = number(word, expected);
                return value.ok_or_else(|| ParseTextError { at: start, what: "unknown keyword".to_owned() });
            }
        };
        self.value(Some(ty))
    }

    /// A string in either kind of quotes, with C's escapes and `\uXXXX`.
    fn quoted(&mut self) -> Parsed<String> {
        let mut out = String::new();
        let mut chars = self.rest().char_indices();
        let quote = chars.next().map(|(_, c)| c);
        while let Some((_, c)) = chars.next() {
            match c {
                c if Some(c) == quote => {
                    self.at = self.text.len() - chars.as_str().len();
                    // No value of GLib's can hold it: it ends its strings.
                    return if out.contains('\0') {
                        Err(self.error("a zero byte in a string"))
                    } else {
                        Ok(out)
                    };
                }
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some(c @ ('u' | 'U')) => {
                        let len = if c == 'u' { 4 } else { 8 };
                        let hex = |digits: &&str| digits.bytes().all(|c| c.is_ascii_hexdigit());
                        let digits = chars.as_str().get(..len).filter(hex);
                        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                        let found = code.and_then(char::from_u32).filter(|&c| c != '\0');
                        out.push(found.ok_or_else(|| self.error("invalid unicode escape"))?);
                        chars.nth(len - 1);
                    }
                    Some('\n') => {}
                    Some(c) => out.push(c_escape(c).unwrap_or(c)),
                    None => break,
                },
                c => out.push(c),
            }
        }
        Err(self.error("unterminated string constant"))
    }

    /// The bytes between the quotes of a byte string, with C's escapes and octal ones.
    fn byte_string(&mut self) -> Parsed<Vec<u8>> {
        let mut out = Vec::new();
        let mut bytes = self.rest().bytes().enumerate().peekable();
        let quote = bytes.next().map(|(_, byte)| byte);
        while let Some((at, byte)) = bytes.next() {
            match byte {
                byte if Some(byte) == quote => {
                    self.at += at + 1;
                    return Ok(out);
                }
                b'\\' => match bytes.next().map(|(_, byte)| byte) {
                    Some(digit @ b'0'..=b'7') => {
                        let mut code = u32::from(digit - b'0');
                        for _ in 0..2 {
                            let Some((_, digit)) = bytes.next_if(|(_, b)| matches!(b, b'0'..=b'7')) else {
                                break;
                            };
                            code = code * 8 + u32::from(digit - b'0');
                        }
                        out.push(u8::try_from(code).map_err(|_| self.error("octal escape above 255"))?);
                    }
                    Some(byte) => out.push(c_escape(char::from(byte)).map_or(byte, |c| c as u8)),
                    None => break,
                },
                byte => out.push(byte),
            }
        }
        Err(self.error("unterminated string constant"))
    }
}

fn c_escape(c: char) -> Option<char> {
    Some(match c {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        _ => return None,
    })
}

/// A number of type `expected`, or an `i`, or a `d` if it looks like one.
fn number(word: &str, expected: Option<&str>) -> Option<Value> {
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && !matches!(digits, "inf" | "nan") {
        return None;
    }
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let looks_double = hex.is_none() && digits.contains(['.', 'e', 'E', 'n']);
    let ty = expected.unwrap_or(if looks_double { "d" } else { "i" });
    if ty == "d" {
        return word.parse::<f64>().ok().map(Value::from);
    }
    let octal = digits.strip_prefix('0').filter(|rest| !rest.is_empty());
    let magnitude = match (hex, octal) {
        (Some(hex), _) => i128::from_str_radix(hex, 16),
        (None, Some(octal)) => i128::from_str_radix(octal, 8),
        (None, None) => digits.parse(),
    };
    let number = magnitude.ok().map(|n| if word.starts_with('-') { -n } else { n })?;
    match ty {
        "y" => u8::try_from(number).ok().map(Value::from),
        "n" => i16::try_from(number).ok().map(Value::from),
        "q" => u16::try_from(number).ok().map(Value::from),
        "i" => i32::try_from(number).ok().map(Value::from),
        "h" => i32::try_from(number).ok().map(Value::handle),
        "u" => u32::try_from(number).ok().map(Value::from),
        "x" => i64::try_from(number).ok().map(Value::from),
        "t" => u64::try_from(number).ok().map(Value::from),
        _ => None,
    }
}
