//! Maps, programs and links of the kernel's BPF machine (`bpf(2)`).
#![allow(unsafe_code, reason = "neither nix nor rustix has bpf")]

use nix::errno::Errno;
use std::{
    ffi::CStr,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

// Commands, and the kinds that this program uses (include/uapi/linux/bpf.h).
const BPF_MAP_CREATE: libc::c_int = 0;
const BPF_MAP_UPDATE_ELEM: libc::c_int = 2;
const BPF_MAP_DELETE_ELEM: libc::c_int = 3;
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_RAW_TRACEPOINT_OPEN: libc::c_int = 17;
const BPF_MAP_TYPE_HASH: u32 = 1;
const BPF_F_NO_PREALLOC: u32 = 1;
const BPF_PROG_TYPE_TRACING: u32 = 26;
const BPF_TRACE_FEXIT: u32 = 25;

/// The kernel functions that write to a process are for programs under this licence only.
const LICENCE: &CStr = c"GPL";
/// The bytes for the kernel's reasons against a program.
const LOG_SIZE: usize = 1 << 16;

/// The name of a map or program: at most 15 letters, digits and `_`.
pub type BpfName = [u8; 16];

/// A hash map of the kernel, with keys and values of fixed sizes.
#[derive(Debug)]
pub struct BpfMap {
    descriptor: OwnedFd,
    size: BpfMapSize,
}

/// The size of a key and a value, in bytes, and the maximum number of entries.
#[derive(Debug, Clone, Copy)]
pub struct BpfMapSize {
    /// The bytes of a key.
    pub key: u32,
    /// The bytes of a value.
    pub value: u32,
    /// The maximum number of entries.
    pub entries: u32,
}

#[repr(C)]
#[derive(Default)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: BpfName,
}

#[repr(C)]
struct MapEntry {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct ProgramLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: BpfName,
    prog_ifindex: u32,
    expected_attach_type: u32,
    prog_btf_fd: u32,
    func_info_rec_size: u32,
    func_info: u64,
    func_info_cnt: u32,
    line_info_rec_size: u32,
    line_info: u64,
    line_info_cnt: u32,
    attach_btf_id: u32,
}

#[repr(C)]
struct TracepointOpen {
    name: u64,
    prog_fd: u32,
    padding: u32,
}

#[repr(C)]
struct ObjectQuery {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// Calls `bpf(2)` with a structure of the command.
fn bpf<T>(command: libc::c_int, attributes: &mut T) -> nix::Result<libc::c_int> {
    let pointer: *mut T = attributes;
    // SAFETY: `bpf` reads and writes as many bytes as `T` has at the pointer, and memory that the fields of
    // the structure point at, which every caller in this file keeps alive and writable until the return.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, pointer, size_of::<T>()) };
    let result = Errno::result(result)?;
    libc::c_int::try_from(result).map_err(|_| Errno::EOVERFLOW)
}

/// Calls `bpf(2)` with a command that returns a new descriptor.
fn descriptor<T>(command: libc::c_int, attributes: &mut T) -> nix::Result<OwnedFd> {
    let descriptor = bpf(command, attributes)?;
    // SAFETY: the kernel has opened the descriptor for this call, and no one else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Returns the number of a descriptor, which is never negative.
fn number(descriptor: &impl AsFd) -> u32 {
    descriptor.as_fd().as_raw_fd().unsigned_abs()
}

/// Returns the address of a slice for the kernel.
fn address<T>(slice: &[T]) -> u64 {
    slice.as_ptr().expose_provenance().try_into().unwrap_or(0)
}

impl BpfMap {
    /// Creates an empty map.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN or CAP_BPF.
    pub fn create(name: BpfName, size: BpfMapSize) -> nix::Result<BpfMap> {
        let mut attributes = MapCreate {
            map_type: BPF_MAP_TYPE_HASH,
            key_size: size.key,
            value_size: size.value,
            max_entries: size.entries,
            map_flags: BPF_F_NO_PREALLOC,
            map_name: name,
            ..MapCreate::default()
        };
        let descriptor = descriptor(BPF_MAP_CREATE, &mut attributes)?;
        Ok(BpfMap { descriptor, size })
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// E2BIG for a new key in a full map; EINVAL for a key or a value of another size than the map's.
    pub fn insert(&self, key: &[u8], value: &[u8]) -> nix::Result<()> {
        if !has_size(key, self.size.key) || !has_size(value, self.size.value) {
            return Err(Errno::EINVAL);
        }
        let mut entry = self.entry(key, address(value));
        bpf(BPF_MAP_UPDATE_ELEM, &mut entry).map(drop)
    }

    /// Removes a key.
    ///
    /// # Errors
    /// ENOENT for a key that is not there; EINVAL for a key of another size than the map's.
    pub fn remove(&self, key: &[u8]) -> nix::Result<()> {
        if !has_size(key, self.size.key) {
            return Err(Errno::EINVAL);
        }
        bpf(BPF_MAP_DELETE_ELEM, &mut self.entry(key, 0)).map(drop)
    }

    fn entry(&self, key: &[u8], value: u64) -> MapEntry {
        MapEntry {
            map_fd: number(&self.descriptor),
            padding: 0,
            key: address(key),
            value,
            flags: 0,
        }
    }

    /// Returns the number of the descriptor, by which a program names the map while it is loaded.
    #[must_use]
    pub fn raw(&self) -> i32 {
        self.descriptor.as_raw_fd()
    }
}

/// Returns whether the kernel can read so many bytes, and no fewer, from the slice.
fn has_size(slice: &[u8], size: u32) -> bool {
    u32::try_from(slice.len()) == Ok(size)
}

/// A reason for which the kernel does not accept a program.
#[derive(Debug, thiserror::Error)]
#[error("the kernel does not accept the program{}{said}", if .said.is_empty() { "" } else { ": " })]
pub struct BpfRefusal {
    /// The last lines of the kernel's reasons; empty where the kernel gives none, as under lockdown.
    pub said: String,
    /// The error of the call: EPERM without a right, EINVAL for a function that is forbidden.
    #[source]
    pub errno: Errno,
}

/// A program of the kernel that runs when a function of the kernel returns.
#[derive(Debug)]
pub struct BpfProgram(OwnedFd);

impl BpfProgram {
    /// Loads a program for the return of a function, by the number of its type in the kernel's description.
    ///
    /// # Errors
    /// [`BpfRefusal`] when the kernel does not accept the program.
    pub fn load(name: BpfName, function: u32, code: &[u64]) -> Result<BpfProgram, BpfRefusal> {
        let mut attributes = ProgramLoad {
            prog_type: BPF_PROG_TYPE_TRACING,
            insn_cnt: u32::try_from(code.len()).unwrap_or(u32::MAX),
            insns: address(code),
            license: address(LICENCE.to_bytes_with_nul()),
            prog_name: name,
            expected_attach_type: BPF_TRACE_FEXIT,
            attach_btf_id: function,
            ..ProgramLoad::default()
        };
        let refused = match descriptor(BPF_PROG_LOAD, &mut attributes) {
            Ok(descriptor) => return Ok(BpfProgram(descriptor)),
            Err(errno) => errno,
        };
        // A log costs the kernel time, so only a program that was refused has one.
        let mut log = vec![0u8; LOG_SIZE];
        attributes.log_level = 1;
        attributes.log_size = u32::try_from(log.len()).unwrap_or(0);
        attributes.log_buf = log.as_mut_ptr().expose_provenance().try_into().unwrap_or(0);
        match descriptor(BPF_PROG_LOAD, &mut attributes) {
            Ok(descriptor) => Ok(BpfProgram(descriptor)),
            Err(_) => Err(BpfRefusal {
                said: last_lines(&log),
                errno: refused,
            }),
        }
    }

    /// Attaches the program, until the link is closed.
    ///
    /// # Errors
    /// E2BIG when the function has too many programs; EPERM where the kernel is locked down.
    pub fn attach(&self) -> nix::Result<BpfLink> {
        let mut attributes = TracepointOpen {
            name: 0,
            prog_fd: number(&self.0),
            padding: 0,
        };
        let descriptor = descriptor(BPF_RAW_TRACEPOINT_OPEN, &mut attributes)?;
        Ok(BpfLink {
            _descriptor: descriptor,
        })
    }

    /// Returns the number of instructions that the kernel has followed before it accepted the program.
    ///
    /// # Errors
    /// EINVAL before Linux 5.16.
    pub fn verified_instructions(&self) -> nix::Result<u32> {
        let mut facts = [0u32; PROGRAM_FACTS];
        let mut attributes = ObjectQuery {
            bpf_fd: number(&self.0),
            info_len: u32::try_from(size_of_val(&facts)).unwrap_or(0),
            info: facts
                .as_mut_ptr()
                .expose_provenance()
                .try_into()
                .unwrap_or(0),
        };
        bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attributes)?;
        let [.., verified, _, _, _] = facts;
        Ok(verified)
    }
}

/// The words of `struct bpf_prog_info`, of which the fourth last is `verified_insns`.
const PROGRAM_FACTS: usize = 58;

/// Attachment of a program, which ends when every copy of the descriptor is closed.
#[derive(Debug)]
pub struct BpfLink {
    _descriptor: OwnedFd,
}

/// Returns the last lines of the kernel's reasons as one line.
fn last_lines(log: &[u8]) -> String {
    const MAX_LINES: usize = 4;
    let text = log.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let first = lines.len().saturating_sub(MAX_LINES);
    lines.get(first..).unwrap_or_default().join("; ")
}

/// Returns the name as the kernel takes it, cut after 15 bytes.
#[must_use]
pub fn bpf_name(name: &str) -> BpfName {
    let mut bytes = BpfName::default();
    let room = bytes.iter_mut().take(15);
    for (to, from) in room.zip(name.bytes()) {
        *to = from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_have_the_layout_of_the_kernels() {
        assert_eq!(std::mem::offset_of!(MapCreate, map_name), 28);
        assert_eq!(std::mem::offset_of!(MapEntry, key), 8);
        assert_eq!(std::mem::offset_of!(ProgramLoad, prog_name), 48);
        assert_eq!(std::mem::offset_of!(ProgramLoad, expected_attach_type), 68);
        assert_eq!(std::mem::offset_of!(ProgramLoad, attach_btf_id), 108);
    }

    #[test]
    fn a_refusal_without_a_reason_ends_without_a_colon() {
        let refusal = |said: &str| BpfRefusal {
            said: said.to_owned(),
            errno: Errno::EPERM,
        };
        let text = "the kernel does not accept the program";
        assert_eq!(refusal("").to_string(), text);
        assert_eq!(
            refusal("R1 is no number").to_string(),
            format!("{text}: R1 is no number")
        );
    }

    #[test]
    fn a_long_name_is_cut_and_ends_in_a_zero() {
        assert_eq!(&bpf_name("plimsoll_sysinfo_32"), b"plimsoll_sysinf\0");
    }

    #[test]
    fn the_reasons_are_the_last_lines_before_the_end() {
        assert_eq!(last_lines(b"a\nb\nc\nd\n\ne\n\0\0"), "b; c; d; e");
        assert_eq!(last_lines(b""), "");
    }
}
