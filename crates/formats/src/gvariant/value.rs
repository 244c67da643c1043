// SPDX-License-Identifier: MIT OR Apache-2.0
//! Building values.

use super::hash_order::hash_order;
use super::types::{self, Layout, align_up, layout, offset_size};
use super::{Error, Variant};

/// A type string and the serialised bytes of one value of that type. Since GVariant containers hold their
/// children as they are, building one is concatenation; nothing is kept as a tree.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    ty: String,
    data: Vec<u8>,
}

impl Value {
    fn raw(ty: &str, data: impl Into<Vec<u8>>) -> Self {
        Self { ty: ty.to_owned(), data: data.into() }
    }

    /// Bytes that were serialised elsewhere; the whole value is checked to be in normal form.
    pub fn from_bytes(ty: &str, data: Vec<u8>) -> Result<Self, Error> {
        Variant::new(ty, &data)?.check_normal()?;
        Ok(Self { ty: ty.to_owned(), data })
    }

    /// An `s`. A zero byte ends the text, as it would for GLib.
    pub fn string(text: &str) -> Self {
        let text = text.split('\0').next().unwrap_or("");
        let mut data = Vec::with_capacity(text.len() + 1);
        data.extend_from_slice(text.as_bytes());
        data.push(0);
        Self { ty: "s".to_owned(), data }
    }

    /// An `ay`, as it stands.
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::raw("ay", bytes)
    }

    /// A tuple of `children`.
    pub fn tuple(children: &[Value]) -> Self {
        let mut ty = String::from("(");
        children.iter().for_each(|child| ty.push_str(&child.ty));
        ty.push(')');
        Self { data: tuple_bytes(&ty, children), ty }
    }

    /// An array whose children are of type `element`.
    ///
    /// Errors: `element` is no type, or a child has another.
    pub fn array(element: &str, children: &[Value]) -> Result<Self, Error> {
        types::check(element)?;
        let mut writer = SequenceWriter::array(element)?;
        for child in children {
            if child.ty != element {
                return Err(Error::WrongType {
                    expected: "the type of the array's elements",
                    found: child.ty.clone(),
                });
            }
            writer.push(|out| out.extend_from_slice(&child.data));
        }
        Ok(Self { ty: format!("a{element}"), data: writer.finish() })
    }

    /// An `as`.
    pub fn strings<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut writer = SequenceWriter::new(Layout { align: 1, fixed: None });
        for text in texts {
            writer.push(|out| out.extend_from_slice(&Self::string(text.as_ref()).data));
        }
        Self { ty: "as".to_owned(), data: writer.finish() }
    }

    /// A dictionary entry.
    ///
    /// Errors: the key is not of a basic type.
    pub fn dict_entry(key: &Value, value: &Value) -> Result<Self, Error> {
        let ty = format!("{{{}{}}}", key.ty, value.ty);
        types::check(&ty)?;
        Ok(Self { data: tuple_bytes(&ty, [key, value]), ty })
    }

    /// A `v` that holds `value`.
    pub fn variant(value: &Value) -> Self {
        let mut data = Vec::with_capacity(value.data.len() + 1 + value.ty.len());
        data.extend_from_slice(&value.data);
        data.push(0);
        data.extend_from_slice(value.ty.as_bytes());
        Self { ty: "v".to_owned(), data }
    }

    /// An `m` of `element`: nothing, or a value of that type.
    pub fn maybe(element: &str, value: Option<&Value>) -> Result<Self, Error> {
        types::check(element)?;
        let mut data = Vec::new();
        if let Some(value) = value {
            if value.ty != element {
                return Err(Error::WrongType { expected: "the type of the maybe", found: value.ty.clone() });
            }
            data.extend_from_slice(&value.data);
            if layout(element).fixed.is_none() {
                data.push(0);
            }
        }
        Ok(Self { ty: format!("m{element}"), data })
    }

    /// An `o` (`kind` is `b'o'`) or `g`; used by the text parser.
    pub(super) fn retype_string(self, ty: &str) -> Self {
        Self { ty: ty.to_owned(), data: self.data }
    }

    /// An `h`; used by the text parser.
    pub(super) fn handle(index: i32) -> Self {
        Self::raw("h", index.to_le_bytes())
    }

    /// The type string.
    pub fn type_string(&self) -> &str {
        &self.ty
    }

    /// The serialised bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The serialised bytes, for writing them out.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// The reader of this value.
    pub fn view(&self) -> Result<Variant<'_>, Error> {
        Variant::new(&self.ty, &self.data)
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.view() {
            Ok(view) => write!(f, "{view}"),
            Err(error) => write!(f, "{error}"),
        }
    }
}

impl From<Variant<'_>> for Value {
    fn from(value: Variant<'_>) -> Self {
        Self::raw(value.type_string(), value.data())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::raw("b", [u8::from(value)])
    }
}

macro_rules! from_number {
    ($($number:ty => $ty:literal),*) => {$(
        impl From<$number> for Value {
            fn from(number: $number) -> Self {
                Self::raw($ty, number.to_le_bytes())
            }
        }
    )*};
}

from_number!(u8 => "y", i16 => "n", u16 => "q", i32 => "i", u32 => "u", i64 => "x", u64 => "t", f64 => "d");

fn tuple_bytes<'a>(ty: &str, children: impl IntoIterator<Item = &'a Value>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut ends = Vec::new();
    let mut children = children.into_iter().peekable();
    while let Some(child) = children.next() {
        let child_layout = layout(&child.ty);
        out.resize(align_up(out.len(), child_layout.align), 0);
        out.extend_from_slice(&child.data);
        if child_layout.fixed.is_none() && children.peek().is_some() {
            ends.push(out.len());
        }
    }
    match layout(ty).fixed {
        Some(size) => out.resize(size, 0),
        None => append_offsets(&mut out, ends.into_iter().rev()),
    }
    out
}

/// Appends framing offsets of the smallest size that can address the whole.
fn append_offsets(out: &mut Vec<u8>, ends: impl ExactSizeIterator<Item = usize>) {
    let body = out.len();
    let count = ends.len();
    let word = [1, 2, 4].into_iter().find(|word| offset_size(body + count * word) <= *word).unwrap_or(8);
    out.reserve(count * word);
    for end in ends {
        let bytes = (end as u64).to_le_bytes();
        out.extend(bytes.iter().take(word));
    }
}

/// Writes an array or a tuple of dynamic size without a [`Value`] per child: for directory trees, which have
/// thousands.
#[derive(Debug)]
pub struct SequenceWriter {
    out: Vec<u8>,
    ends: Vec<usize>,
    element: Layout,
}

impl SequenceWriter {
    fn new(element: Layout) -> Self {
        Self { out: Vec::new(), ends: Vec::new(), element }
    }

    /// An array of children of type `element`.
    pub fn array(element: &str) -> Result<Self, Error> {
        types::check(element)?;
        Ok(Self::new(layout(element)))
    }

    /// Adds one child, whose serialised bytes `write` appends.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.out.resize(align_up(self.out.len(), self.element.align), 0);
        write(&mut self.out);
        self.ends.push(self.out.len());
    }

    /// The serialised bytes of the array.
    pub fn finish(mut self) -> Vec<u8> {
        if self.element.fixed.is_none() {
            append_offsets(&mut self.out, self.ends.into_iter());
        }
        self.out
    }
}

/// An `a{sv}` under construction: entries keep the order in which they are added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DictBuilder {
    entries: Vec<(String, Value)>,
}

impl DictBuilder {
    /// No entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// The entries of an existing `a{sv}`.
    pub fn from_variant(dict: Variant<'_>) -> Result<Self, Error> {
        let mut out = Self::new();
        for entry in dict.iter()? {
            let entry = entry?;
            out.insert(entry.child(0)?.as_str()?, entry.child(1)?.as_variant()?);
        }
        Ok(out)
    }

    /// Adds an entry at the end, or replaces the value of one with the same key where it stands.
    pub fn insert(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        let value = value.into();
        match self.entries.iter_mut().find(|(name, _)| name == key) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((key.to_owned(), value)),
        }
        self
    }

    /// Adds an entry at the end, whether or not there is one with the same key.
    pub fn push(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        self.entries.push((key.to_owned(), value.into()));
        self
    }

    /// Puts the entries in the order in which GLib's `GVariantDict` ends with them, each key once with its last value.
    pub fn order_by_hash(&mut self) {
        let mut by_key: Vec<(String, Value)> = Vec::new();
        for (key, value) in std::mem::take(&mut self.entries) {
            match by_key.iter_mut().find(|(name, _)| *name == key) {
                Some(entry) => entry.1 = value,
                None => by_key.push((key, value)),
            }
        }
        let keys: Vec<&str> = by_key.iter().map(|(key, _)| key.as_str()).collect();
        let order = hash_order(&keys);
        let mut by_key: Vec<Option<(String, Value)>> = by_key.into_iter().map(Some).collect();
        self.entries = order.into_iter().filter_map(|at| by_key.get_mut(at)?.take()).collect();
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Removes `key`; whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        let before = self.entries.len();
        self.entries.retain(|(name, _)| name != key);
        before != self.entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keys and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The `a{sv}`.
    pub fn build(&self) -> Value {
        // An entry is an array element of alignment 8, since it holds a variant.
        let mut writer = SequenceWriter::new(Layout { align: 8, fixed: None });
        for (key, value) in &self.entries {
            let entry = tuple_bytes("{sv}", [&Value::string(key), &Value::variant(value)]);
            writer.push(|out| out.extend_from_slice(&entry));
        }
        Value { ty: "a{sv}".to_owned(), data: writer.finish() }
    }
}
