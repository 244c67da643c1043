// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading values in place.

use super::types::{self, align_up, layout, offset_size, split_first};
use super::{Error, MAX_DEPTH};

/// A value inside a buffer: nothing is copied, children are found on access.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Variant<'a> {
    ty: &'a str,
    data: &'a [u8],
    /// Values that this value lies in.
    depth: u8,
}

impl<'a> Variant<'a> {
    /// The value of type `ty` that `data` holds.
    ///
    /// Errors: `ty` is not one type; the type has a fixed size and `data` another. All else is found on access.
    pub fn new(ty: &'a str, data: &'a [u8]) -> Result<Self, Error> {
        types::check(ty)?;
        Self::checked(ty, data, 0)
    }

    /// As [`Variant::new`], for a type that was checked before.
    fn checked(ty: &'a str, data: &'a [u8], depth: u8) -> Result<Self, Error> {
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        match layout(ty).fixed {
            Some(size) if size != data.len() => Err(Error::BadSize { ty: ty.to_owned(), len: data.len() }),
            _ => Ok(Self { ty, data, depth }),
        }
    }

    /// The type string.
    pub fn type_string(&self) -> &'a str {
        self.ty
    }

    /// The serialised bytes.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    fn kind(&self) -> u8 {
        self.ty.as_bytes().first().copied().unwrap_or(0)
    }

    fn wrong(&self, expected: &'static str) -> Error {
        Error::WrongType { expected, found: self.ty.to_owned() }
    }

    fn bad_offset(&self) -> Error {
        Error::BadOffset(self.ty.to_owned())
    }

    fn fixed<const N: usize>(&self, expected: &'static str) -> Result<[u8; N], Error> {
        if self.ty != expected {
            return Err(self.wrong(expected));
        }
        self.data.try_into().map_err(|_| Error::BadSize { ty: self.ty.to_owned(), len: self.data.len() })
    }

    /// A `b`.
    pub fn as_bool(&self) -> Result<bool, Error> {
        match self.fixed::<1>("b")? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Error::NotNormal(self.ty.to_owned())),
        }
    }

    /// A `y`.
    pub fn as_u8(&self) -> Result<u8, Error> {
        self.fixed("y").map(u8::from_le_bytes)
    }

    /// An `n`.
    pub fn as_i16(&self) -> Result<i16, Error> {
        self.fixed("n").map(i16::from_le_bytes)
    }

    /// A `q`.
    pub fn as_u16(&self) -> Result<u16, Error> {
        self.fixed("q").map(u16::from_le_bytes)
    }

    /// An `i`.
    pub fn as_i32(&self) -> Result<i32, Error> {
        self.fixed("i").map(i32::from_le_bytes)
    }

    /// An `h`: an index into descriptors that are sent along.
    pub fn as_handle(&self) -> Result<i32, Error> {
        self.fixed("h").map(i32::from_le_bytes)
    }

    /// A `u`.
    pub fn as_u32(&self) -> Result<u32, Error> {
        self.fixed("u").map(u32::from_le_bytes)
    }

    /// An `x`.
    pub fn as_i64(&self) -> Result<i64, Error> {
        self.fixed("x").map(i64::from_le_bytes)
    }

    /// A `t`.
    pub fn as_u64(&self) -> Result<u64, Error> {
        self.fixed("t").map(u64::from_le_bytes)
    }

    /// A `d`.
    pub fn as_f64(&self) -> Result<f64, Error> {
        self.fixed("d").map(f64::from_le_bytes)
    }

    /// An `s`, `o` or `g`, without the zero byte at its end.
    pub fn as_str(&self) -> Result<&'a str, Error> {
        if !matches!(self.kind(), b's' | b'o' | b'g') {
            return Err(self.wrong("s"));
        }
        text(self.data)
            .filter(|text| types::is_text_of(self.ty, text))
            .ok_or_else(|| Error::BadText(self.ty.to_owned()))
    }

    /// An `ay`, as it stands: a byte string keeps the zero byte at its end.
    pub fn as_bytes(&self) -> Result<&'a [u8], Error> {
        if self.ty == "ay" { Ok(self.data) } else { Err(self.wrong("ay")) }
    }

    /// An `as` as texts.
    pub fn as_strings(&self) -> Result<Vec<&'a str>, Error> {
        self.iter()?.map(|child| child?.as_str()).collect()
    }

    /// Returns the value inside a `v`.
    pub fn as_variant(&self) -> Result<Variant<'a>, Error> {
        if self.ty != "v" {
            return Err(self.wrong("v"));
        }
        let zero = self.data.iter().rposition(|&b| b == 0).ok_or_else(|| self.bad_offset())?;
        let (data, ty) = self.data.split_at_checked(zero).ok_or_else(|| self.bad_offset())?;
        let ty = ty.get(1..).unwrap_or(&[]);
        let ty = str::from_utf8(ty).map_err(|_| Error::BadType(String::from_utf8_lossy(ty).into_owned()))?;
        types::check(ty)?;
        Self::checked(ty, data, self.depth + 1)
    }

    /// Returns the value inside an `m…`, if there is one.
    pub fn as_maybe(&self) -> Result<Option<Variant<'a>>, Error> {
        if self.kind() != b'm' {
            return Err(self.wrong("m*"));
        }
        let ty = types::inner(self.ty);
        match (self.data, layout(ty).fixed) {
            ([], _) => Ok(None),
            (data, Some(_)) => Self::checked(ty, data, self.depth + 1).map(Some),
            ([data @ .., _], None) => Self::checked(ty, data, self.depth + 1).map(Some),
        }
    }

    /// Whether this value has children: an array, tuple or dictionary entry.
    pub fn is_container(&self) -> bool {
        matches!(self.kind(), b'a' | b'(' | b'{')
    }

    /// The children of an array, tuple or dictionary entry.
    pub fn iter(&self) -> Result<Iter<'a>, Error> {
        match self.kind() {
            b'a' => Iter::array(*self),
            b'(' | b'{' => Ok(Iter::tuple(*self)),
            _ => Err(self.wrong("a container")),
        }
    }

    /// The fields of each child of an array of tuples of `N` strings and byte strings, such as `a(say)`. The same as with
    /// [`Variant::iter`], without looking at types again for each: an update reads some hundred thousand of these.
    pub fn plain_tuples<const N: usize>(
        &self,
    ) -> Result<impl ExactSizeIterator<Item = Result<[Plain<'a>; N], Error>> + use<'a, N>, Error> {
        let fields = types::inner(types::inner(self.ty)).replace("ay", "s");
        let Shape::Offsets(table, 1, count) = Iter::array(*self)?.shape else {
            return Err(self.wrong("an array of tuples"));
        };
        if fields.len() != N || fields.bytes().any(|c| c != b's') {
            return Err(self.wrong("an array of strings and byte strings"));
        }
        let (array, word) = (*self, offset_size(self.data.len()));
        let mut at = 0;
        Ok((0..count).map(move |index| {
            let end = read_offset(array.data, table + index * word, word).filter(|&end| end <= table);
            let tuple = end.and_then(|end| array.data.get(at..end)).ok_or_else(|| array.bad_offset())?;
            at += tuple.len();
            split_plain(tuple).ok_or_else(|| array.bad_offset())
        }))
    }

    /// Child `index` of an array, tuple or dictionary entry; constant time in an array.
    pub fn child(&self, index: usize) -> Result<Variant<'a>, Error> {
        let mut iter = self.iter()?;
        iter.nth(index).unwrap_or_else(|| Err(Error::NoChild { ty: self.ty.to_owned(), index }))
    }

    /// The value of `key` in an `a{sv}`, the first if the key stands there twice, as GLib finds it.
    pub fn lookup(&self, key: &str) -> Result<Option<Variant<'a>>, Error> {
        for entry in self.iter()? {
            let entry = entry?;
            if entry.child(0)?.as_str()? == key {
                return entry.child(1)?.as_variant().map(Some);
            }
        }
        Ok(None)
    }

    /// Walks the whole value and checks that it is the one byte sequence that a correct writer makes: what a
    /// reader must know before it trusts a checksum of the bytes to name the value.
    pub fn check_normal(&self) -> Result<(), Error> {
        let normal = |yes: bool| if yes { Ok(()) } else { Err(Error::NotNormal(self.ty.to_owned())) };
        match self.kind() {
            b'b' => self.as_bool().map(drop),
            b's' | b'o' | b'g' => self.as_str().map(drop),
            b'v' => {
                let inner = self.as_variant()?;
                inner.check_normal()
            }
            b'm' => match self.as_maybe()? {
                None => Ok(()),
                Some(inner) => {
                    let padded = layout(inner.ty).fixed.is_none();
                    normal(!padded || self.data.last() == Some(&0))?;
                    inner.check_normal()
                }
            },
            b'a' | b'(' | b'{' => {
                if self.ty == "ay" {
                    return Ok(());
                }
                let mut iter = self.iter()?;
                let mut end = 0;
                while let Some((child, start)) = iter.next_at() {
                    let child = child?;
                    normal(self.data.get(end..start).is_some_and(|gap| gap.iter().all(|&b| b == 0)))?;
                    child.check_normal()?;
                    end = start + child.data.len();
                }
                normal(iter.ends_at(end))
            }
            _ => Ok(()),
        }
    }
}

/// A string or byte string inside a tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plain<'a>(&'a [u8]);

impl<'a> Plain<'a> {
    /// As an `s`, without the zero byte at its end.
    pub fn as_str(&self) -> Result<&'a str, Error> {
        text(self.0).ok_or_else(|| Error::BadText("s".to_owned()))
    }

    /// As an `ay`.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// The text of an `s`.
fn text(data: &[u8]) -> Option<&str> {
    let Some((&0, text)) = data.split_last() else { return None };
    if text.contains(&0) { None } else { str::from_utf8(text).ok() }
}

/// The fields of a tuple of strings and byte strings: the ends of all but the last stand at its end, the first one last.
fn split_plain<const N: usize>(tuple: &[u8]) -> Option<[Plain<'_>; N]> {
    let word = offset_size(tuple.len());
    let (mut fields, mut at, mut ends) = ([Plain(&[]); N], 0, tuple.len());
    for (index, field) in fields.iter_mut().enumerate() {
        let end = if index + 1 == N {
            ends
        } else {
            // Without a byte there is no room for an offset, not even for one of an empty field.
            ends = ends.checked_sub(word.max(1))?;
            read_offset(tuple, ends, word).filter(|&end| end <= ends)?
        };
        *field = Plain(tuple.get(at..end)?);
        at = end;
    }
    Some(fields)
}

/// The children of a container, in order. After an error there are no more.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    container: Variant<'a>,
    /// Types still to come: for an array always its element type.
    types: &'a str,
    /// End of the former child.
    at: usize,
    /// Children that were handed out.
    index: usize,
    shape: Shape,
}

/// How the ends of children are known.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Children of one size: (size, count).
    Fixed(usize, usize),
    /// One offset a child, from this position on, in ascending order: (position, alignment, count).
    Offsets(usize, usize, usize),
    /// Offsets from the end of the bytes backwards, only for children of dynamic size that are not the last:
    /// position of the offset that was read last.
    Tuple(usize),
    /// An error was reported.
    Failed,
}

impl<'a> Iter<'a> {
    fn array(container: Variant<'a>) -> Result<Self, Error> {
        let types = types::inner(container.ty);
        let element = layout(types);
        let len = container.data.len();
        let shape = match element.fixed {
            Some(size) if len.is_multiple_of(size) => Shape::Fixed(size, len / size),
            Some(_) => return Err(Error::BadSize { ty: container.ty.to_owned(), len }),
            None if len == 0 => Shape::Offsets(0, element.align, 0),
            None => {
                let word = offset_size(len);
                let table =
                    read_offset(container.data, len - word, word).ok_or_else(|| container.bad_offset())?;
                // The last offset is the end of the last child, which is where the table begins.
                let bytes = len.checked_sub(table).ok_or_else(|| container.bad_offset())?;
                if bytes == 0 || !bytes.is_multiple_of(word) {
                    return Err(container.bad_offset());
                }
                Shape::Offsets(table, element.align, bytes / word)
            }
        };
        Ok(Self { container, types, at: 0, index: 0, shape })
    }

    fn tuple(container: Variant<'a>) -> Self {
        let types = types::inner(container.ty);
        Self { container, types, at: 0, index: 0, shape: Shape::Tuple(container.data.len()) }
    }

    /// The next child and where it starts in its container.
    fn next_at(&mut self) -> Option<(Result<Variant<'a>, Error>, usize)> {
        let (ty, start, end) = match self.shape {
            Shape::Failed => return None,
            Shape::Fixed(_, count) | Shape::Offsets(_, _, count) if self.index >= count => return None,
            Shape::Fixed(size, _) => (self.types, self.at, Some(self.at + size)),
            Shape::Offsets(table, align, _) => {
                let word = offset_size(self.container.data.len());
                let end = read_offset(self.container.data, table + self.index * word, word);
                (self.types, align_up(self.at, align), end.filter(|&end| end <= table))
            }
            Shape::Tuple(_) if self.types.is_empty() => return None,
            Shape::Tuple(offset) => match self.tuple_child(offset) {
                Ok(found) => found,
                Err(error) => return self.fail(error),
            },
        };
        let data = end.and_then(|end| self.container.data.get(start..end));
        let Some(data) = data else { return self.fail(self.container.bad_offset()) };
        self.at = start + data.len();
        self.index += 1;
        match Variant::checked(ty, data, self.container.depth + 1) {
            Ok(child) => Some((Ok(child), start)),
            Err(error) => self.fail(error),
        }
    }

    /// Type, start and end of the next child of a tuple.
    fn tuple_child(&mut self, mut offset: usize) -> Result<(&'a str, usize, Option<usize>), Error> {
        let (ty, rest) = split_first(self.types)?;
        let layout = layout(ty);
        let start = align_up(self.at, layout.align);
        let end = match layout.fixed {
            Some(size) => Some(start + size),
            // The last child reaches to the offsets.
            None if rest.is_empty() => Some(offset),
            None => {
                let word = offset_size(self.container.data.len());
                // Without a byte there is no room for an offset, not even for one of an empty child.
                if word == 0 {
                    return Err(self.container.bad_offset());
                }
                offset = offset.checked_sub(word).ok_or_else(|| self.container.bad_offset())?;
                read_offset(self.container.data, offset, word).filter(|&end| end <= offset)
            }
        };
        self.types = rest;
        self.shape = Shape::Tuple(offset);
        Ok((ty, start, end))
    }

    fn fail(&mut self, error: Error) -> Option<(Result<Variant<'a>, Error>, usize)> {
        self.shape = Shape::Failed;
        Some((Err(error), self.at))
    }

    /// Whether the container holds nothing but its children, the last of which ends at `end`, and its offsets.
    fn ends_at(&self, end: usize) -> bool {
        let data = self.container.data;
        match self.shape {
            Shape::Failed => false,
            Shape::Fixed(..) => end == data.len(),
            Shape::Offsets(table, _, count) => table == end && normal_offsets(data.len(), table, count),
            Shape::Tuple(offset) => match layout(self.container.ty).fixed {
                Some(size) => data.get(end..size).is_some_and(|pad| pad.iter().all(|&b| b == 0)),
                None => {
                    let word = offset_size(data.len()).max(1);
                    end == offset && normal_offsets(data.len(), end, (data.len() - offset) / word)
                }
            },
        }
    }

    /// Skips `count` children without looking at them, where that is safe: in an array.
    fn skip_in_array(&mut self, count: usize) {
        match self.shape {
            Shape::Fixed(size, total) => {
                self.index = self.index.saturating_add(count).min(total);
                self.at = self.index * size;
            }
            Shape::Offsets(table, _, total) if count > 0 => {
                self.index = self.index.saturating_add(count).min(total);
                let word = offset_size(self.container.data.len());
                let former = self.index.checked_sub(1).map(|index| table + index * word);
                self.at =
                    former.and_then(|at| read_offset(self.container.data, at, word)).unwrap_or(0).min(table);
            }
            _ => {}
        }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<Variant<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_at().map(|(child, _)| child)
    }

    fn nth(&mut self, index: usize) -> Option<Self::Item> {
        if matches!(self.shape, Shape::Tuple(_)) {
            for _ in 0..index {
                self.next_at()?.0.ok()?;
            }
        } else {
            self.skip_in_array(index);
        }
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self.shape {
            Shape::Fixed(_, count) | Shape::Offsets(_, _, count) => {
                (0, Some(count.saturating_sub(self.index)))
            }
            Shape::Tuple(_) => (0, Some(self.types.len())),
            Shape::Failed => (0, Some(0)),
        }
    }
}

/// Whether a container of `len` bytes whose children end at `body` uses the smallest offsets that fit.
fn normal_offsets(len: usize, body: usize, count: usize) -> bool {
    [1, 2, 4, 8]
        .into_iter()
        .find(|word| offset_size(body + count * word) <= *word)
        .is_none_or(|word| body + count * word == len)
}

fn read_offset(data: &[u8], at: usize, word: usize) -> Option<usize> {
    let bytes = data.get(at..at.checked_add(word)?)?;
    let mut out = [0; 8];
    out.get_mut(..word)?.copy_from_slice(bytes);
    usize::try_from(u64::from_le_bytes(out)).ok()
}
