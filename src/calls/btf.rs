//! Pure. The kernel's description of its own types (BTF, `/sys/kernel/btf/vmlinux`): the place of a field, the
//! value of an enumerator, the number of a function.
//!
//! `Documentation/bpf/btf.rst` describes the format: a header, a record for each type in the order of the
//! types' numbers, and strings.

/// Types of a kernel.
#[derive(Debug)]
pub struct Btf {
    bytes: Vec<u8>,
    /// Positions of the records; the type with the number n has the record n - 1.
    records: Vec<usize>,
    strings: usize,
}

/// Reason for which a type cannot be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// The bytes are no description of types, or have a part of an unknown kind.
    #[error("cannot understand the kernel's description of its types")]
    Malformed,
    /// The kernel has no such type, field, function or enumerator.
    #[error("this kernel has no {0}")]
    Missing(String),
}

// The kinds of types (include/uapi/linux/btf.h).
const INT: u32 = 1;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

const MAGIC: u32 = 0xeb9f;
/// The bytes of a record before its members.
const RECORD: usize = 12;
/// The maximum depth of nested types: structures without a name, and names of names.
const MAX_DEPTH: u32 = 16;

/// The second word of a record.
#[derive(Clone, Copy)]
struct Shape {
    kind: u32,
    members: usize,
    /// The offsets of the members share their word with the sizes of bit fields.
    has_bit_fields: bool,
}

impl Btf {
    /// Parses the bytes of the description.
    ///
    /// # Errors
    /// [`BtfError::Malformed`] for other bytes, for those of the other byte order too.
    pub fn parse(bytes: Vec<u8>) -> Result<Btf, BtfError> {
        let mut btf = Btf {
            bytes,
            records: Vec::new(),
            strings: 0,
        };
        let header = [0, 4, 8, 12, 16].map(|at| btf.word(at));
        let [
            Some(magic),
            Some(size),
            Some(types),
            Some(length),
            Some(strings),
        ] = header
        else {
            return Err(BtfError::Malformed);
        };
        if magic & 0xffff != MAGIC {
            return Err(BtfError::Malformed);
        }
        let place = |offset: u32| usize::try_from(u64::from(size) + u64::from(offset));
        let ends = (
            place(types),
            place(types.saturating_add(length)),
            place(strings),
        );
        let (Ok(mut at), Ok(end), Ok(strings)) = ends else {
            return Err(BtfError::Malformed);
        };
        btf.strings = strings;
        while at < end {
            let shape = btf.shape(at).ok_or(BtfError::Malformed)?;
            btf.records.push(at);
            at += RECORD + size_of_members(shape).ok_or(BtfError::Malformed)?;
        }
        Ok(btf)
    }

    /// Returns the number of the type that is the function `name`.
    ///
    /// # Errors
    /// [`BtfError::Missing`] when the kernel has no such function.
    pub fn function(&self, name: &str) -> Result<u32, BtfError> {
        self.named(&[FUNC], name)
    }

    /// Returns the value of the enumerator `name` of the enumeration `of`.
    ///
    /// # Errors
    /// [`BtfError::Missing`] when the kernel has no such enumerator.
    pub fn enumerator(&self, of: &str, name: &str) -> Result<u32, BtfError> {
        let record = self.record(self.named(&[ENUM, ENUM64], of)?);
        let value = record.and_then(|at| {
            let shape = self.shape(at)?;
            let step = if shape.kind == ENUM64 { 12 } else { 8 };
            let mut members = (0..shape.members).map(|index| at + RECORD + index * step);
            let member = members.find(|member| self.is_named(*member, name))?;
            self.word(member + 4)
        });
        value.ok_or_else(|| BtfError::Missing(format!("{of}::{name}")))
    }

    /// Returns the offset of a field in its structure, in bytes: `mem_cgroup.memory.usage`. The path goes
    /// through structures within structures, named or not, and follows no pointer.
    ///
    /// # Errors
    /// [`BtfError::Missing`] when the kernel has no such field, or the field is too far for an instruction.
    pub fn offset(&self, path: &str) -> Result<i16, BtfError> {
        let missing = || BtfError::Missing(path.to_owned());
        let (structure, fields) = path.split_once('.').ok_or_else(missing)?;
        let mut of = self.named(&[STRUCT], structure)?;
        let mut bits = 0u32;
        for field in fields.split('.') {
            let (offset, next) = self.member(of, field, MAX_DEPTH).ok_or_else(missing)?;
            bits = bits.saturating_add(offset);
            of = next;
        }
        i16::try_from(bits / 8).map_err(|_| missing())
    }

    fn named(&self, kinds: &[u32], name: &str) -> Result<u32, BtfError> {
        let is_found = |at: &usize| {
            let is_kind = self
                .shape(*at)
                .is_some_and(|shape| kinds.contains(&shape.kind));
            is_kind && self.is_named(*at, name)
        };
        let index = self.records.iter().position(is_found);
        index
            .and_then(|index| u32::try_from(index + 1).ok())
            .ok_or_else(|| BtfError::Missing(name.to_owned()))
    }

    /// Returns the offset of the member in bits, and the number of its type.
    fn member(&self, of: u32, name: &str, depth: u32) -> Option<(u32, u32)> {
        let depth = depth.checked_sub(1)?;
        let at = self.plain(of)?;
        let shape = self.shape(at)?;
        if shape.kind != STRUCT && shape.kind != UNION {
            return None;
        }
        (0..shape.members).find_map(|index| {
            let member = at + RECORD + index * 12;
            let (called, of) = (self.word(member)?, self.word(member + 4)?);
            let offset = self.word(member + 8)?;
            let offset = if shape.has_bit_fields {
                offset & 0xff_ffff
            } else {
                offset
            };
            if called != 0 {
                return self.is_named(member, name).then_some((offset, of));
            }
            let (inner, of) = self.member(of, name, depth)?;
            Some((offset.saturating_add(inner), of))
        })
    }

    /// Returns the record of a type without its qualifiers and other names.
    fn plain(&self, mut of: u32) -> Option<usize> {
        for _ in 0..MAX_DEPTH {
            let at = self.record(of)?;
            match self.shape(at)?.kind {
                TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG => of = self.word(at + 8)?,
                _ => return Some(at),
            }
        }
        None
    }

    /// Returns the position of a type's record; `None` for the type 0, which is `void`.
    fn record(&self, of: u32) -> Option<usize> {
        let index = usize::try_from(of).ok()?.checked_sub(1)?;
        self.records.get(index).copied()
    }

    fn shape(&self, at: usize) -> Option<Shape> {
        let info = self.word(at + 4)?;
        Some(Shape {
            kind: (info >> 24) & 31,
            members: usize::try_from(info & 0xffff).ok()?,
            has_bit_fields: info >> 31 == 1,
        })
    }

    /// Returns whether the name at the beginning of a record or member is `name`.
    fn is_named(&self, at: usize, name: &str) -> bool {
        let text = || {
            let offset = usize::try_from(self.word(at)?).ok()?;
            let text = self.bytes.get(self.strings.checked_add(offset)?..)?;
            let rest = text.strip_prefix(name.as_bytes())?;
            Some(rest.first() == Some(&0))
        };
        text().unwrap_or(false)
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    }
}

/// Returns the bytes of a record after its first twelve; `None` for an unknown kind.
fn size_of_members(shape: Shape) -> Option<usize> {
    // A pointer, and a type that is declared and not defined.
    const POINTER: u32 = 2;
    const FORWARD: u32 = 7;
    const FLOAT: u32 = 16;
    Some(match shape.kind {
        INT | VAR | DECL_TAG => 4,
        ARRAY => 12,
        STRUCT | UNION | DATASEC | ENUM64 => 12 * shape.members,
        ENUM | FUNC_PROTO => 8 * shape.members,
        POINTER | FORWARD | TYPEDEF | VOLATILE | CONST | RESTRICT | FUNC | FLOAT | TYPE_TAG => 0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert, proptest};

    /// Builds a description of types.
    struct Types {
        records: Vec<u32>,
        strings: Vec<u8>,
    }

    impl Types {
        fn new() -> Types {
            Types {
                records: Vec::new(),
                strings: vec![0],
            }
        }

        fn name(&mut self, name: &str) -> u32 {
            if name.is_empty() {
                return 0;
            }
            let at = self.strings.len();
            self.strings.extend(name.bytes().chain([0]));
            at.try_into().unwrap()
        }

        fn add(&mut self, name: &str, kind: u32, third: u32, members: &[[u32; 3]]) -> &mut Types {
            let name = self.name(name);
            let count = u32::try_from(members.len()).unwrap();
            self.records.extend([name, (kind << 24) | count, third]);
            self.records.extend(members.iter().flatten());
            self
        }

        fn bytes(&self) -> Vec<u8> {
            let types = u32::try_from(self.records.len() * 4).unwrap();
            let strings = u32::try_from(self.strings.len()).unwrap();
            let header = [MAGIC | (1 << 16), 24, 0, types, types, strings];
            let words = header.iter().chain(&self.records);
            let mut bytes: Vec<u8> = words.flat_map(|word| word.to_ne_bytes()).collect();
            bytes.extend(&self.strings);
            bytes
        }
    }

    /// A structure with a field in a structure without a name, and one behind two other names of its type.
    fn types() -> Types {
        let mut types = Types::new();
        let [usage, memory, max] = ["usage", "memory", "max"].map(|name| types.name(name));
        types.add("page_counter", STRUCT, 64, &[[usage, 0, 0], [max, 0, 320]]);
        types.add("counter_t", TYPEDEF, 1, &[]);
        types.add("", CONST, 2, &[]);
        types.add("", UNION, 64, &[[memory, 3, 0]]);
        types.add("mem_cgroup", STRUCT, 128, &[[0, 4, 512]]);
        types.add("do_it", FUNC, 0, &[]);
        types
    }

    #[test]
    fn a_field_is_found_through_structures_without_a_name_and_other_names_of_a_type() {
        let btf = Btf::parse(types().bytes()).unwrap();
        assert_eq!(btf.offset("mem_cgroup.memory.max"), Ok(64 + 40));
        assert_eq!(btf.offset("page_counter.usage"), Ok(0));
        let missing = |name: &str| Err(BtfError::Missing(name.to_owned()));
        assert_eq!(
            btf.offset("mem_cgroup.swap.max"),
            missing("mem_cgroup.swap.max")
        );
        assert_eq!(btf.offset("page_counter"), missing("page_counter"));
    }

    #[test]
    fn a_function_has_the_number_of_its_record() {
        let btf = Btf::parse(types().bytes()).unwrap();
        assert_eq!(btf.function("do_it"), Ok(6));
        assert!(btf.function("do").is_err());
        assert!(btf.function("page_counter").is_err());
    }

    #[test]
    fn an_offset_that_no_instruction_holds_is_none() {
        let mut types = Types::new();
        let name = types.name("far");
        types.add("task_struct", STRUCT, 0, &[[name, 0, 8 << 15]]);
        assert!(
            Btf::parse(types.bytes())
                .unwrap()
                .offset("task_struct.far")
                .is_err()
        );
    }

    #[test]
    fn other_bytes_are_malformed() {
        let mut swapped = types().bytes();
        swapped[..4].reverse();
        for bytes in [Vec::new(), vec![0; 24], swapped] {
            assert_eq!(Btf::parse(bytes).err(), Some(BtfError::Malformed));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic_or_hang(
            at in any::<prop::sample::Index>(), new in any::<u8>(), cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = types().bytes();
            let at = at.index(bytes.len());
            bytes[at] = new;
            bytes.truncate(cut.index(bytes.len()) + 1);
            if let Ok(btf) = Btf::parse(bytes) {
                let _ = (btf.offset("mem_cgroup.memory.max"), btf.function("do_it"));
                prop_assert!(btf.enumerator("mem_cgroup", "memory").is_err());
            }
        }
    }
}
