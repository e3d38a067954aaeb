//! The programs in the running kernel, and the map of the containers.

use super::{
    btf::{Btf, BtfError},
    obstacle::{Obstacle, obstacle},
    offsets::{CallerWidth, Offsets, Registers},
    programs::{self, HostFacts},
    value::{KEY_SIZE, Published, VALUE_SIZE},
};
use crate::{
    base::{
        sys::{
            self,
            bpf::{BpfLink, BpfMap, BpfMapSize, BpfProgram, BpfRefusal, bpf_name},
        },
        units::Key,
    },
    view::answer::SystemCall,
};
use nix::errno::Errno;
use std::{fs, io, path::Path};

/// The kernel's description of its own types.
const DESCRIPTION: &str = "/sys/kernel/btf/vmlinux";
/// The maximum number of containers in the map. The kernel takes memory for those that are there.
const MAX_CONTAINERS: u32 = 65_536;

/// Reason for which the programs cannot answer on this machine.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The machine has a property with which no program answers.
    #[error("no program can answer system calls in this kernel")]
    Impossible(#[source] Obstacle),
    /// The kernel has no description of its types, or it cannot be read.
    #[error("cannot read /sys/kernel/btf/vmlinux")]
    Description(#[source] io::Error),
    /// The kernel lacks a type, field or function.
    #[error("cannot find what the programs read")]
    Kernel(#[from] BtfError),
    /// The kernel gives no map.
    #[error("cannot create the map of the containers")]
    Map(#[source] Errno),
    /// The map does not take or give up a value.
    #[error("cannot change the map of the containers")]
    Publish(#[source] Errno),
    /// A thread gets no mount namespace of its own.
    #[error("cannot make a mount namespace")]
    Namespace(#[source] Errno),
    /// The kernel does not accept a program.
    #[error("cannot load the program for {function}")]
    Load {
        /// Function of the kernel.
        function: String,
        /// Reasons of the kernel.
        source: BpfRefusal,
    },
    /// The kernel does not attach a program.
    #[error("cannot attach the program for {function}")]
    Attach {
        /// Function of the kernel.
        function: String,
        /// Error of the call.
        source: Errno,
    },
}

/// A loaded program, and its attachment.
#[derive(Debug)]
struct AttachedProgram {
    function: String,
    program: BpfProgram,
    _link: BpfLink,
}

/// Programs that answer system calls in containers, as long as this value lives.
#[derive(Debug)]
pub struct CallPrograms {
    containers: BpfMap,
    programs: Vec<AttachedProgram>,
}

impl CallPrograms {
    /// Loads and attaches the programs of these system calls. No container is in the map.
    ///
    /// # Errors
    /// [`ProgramError`] when the kernel cannot run a program, or this process may not load one.
    pub fn attach(calls: &[SystemCall], host: HostFacts) -> Result<CallPrograms, ProgramError> {
        if let Some(obstacle) = obstacle(Path::new("/")) {
            return Err(ProgramError::Impossible(obstacle));
        }
        let registers = Registers::of_this_machine();
        let registers = registers.ok_or(ProgramError::Impossible(Obstacle::Processor))?;
        let btf = Btf::parse(fs::read(DESCRIPTION).map_err(ProgramError::Description)?)?;
        let offsets = Offsets::of(&btf, registers)?;
        let size = BpfMapSize {
            key: KEY_SIZE,
            value: u32::try_from(VALUE_SIZE).unwrap_or(u32::MAX),
            entries: MAX_CONTAINERS,
        };
        let containers = BpfMap::create(bpf_name("containers"), size).map_err(ProgramError::Map)?;
        let mut attached = Vec::new();
        for call in calls {
            for width in [CallerWidth::Bits64, CallerWidth::Bits32] {
                let function = format!("{}{}", registers.prefix(width), call.kernel_name());
                let number = match (btf.function(&function), width) {
                    (Ok(number), _) => number,
                    // A kernel without 32-bit programs has no system calls of theirs.
                    (Err(_), CallerWidth::Bits32) => continue,
                    (Err(error), CallerWidth::Bits64) => return Err(error.into()),
                };
                let map = containers.raw();
                let code = match call {
                    SystemCall::Sysinfo => programs::sysinfo(&offsets, host, map, width),
                    SystemCall::Affinity => programs::affinity(&offsets, host, map, width),
                };
                let name = format!("plim_{}", call.name());
                attached.push(attach(name, function, number, &code.unwrap_or_default())?);
            }
        }
        Ok(CallPrograms {
            containers,
            programs: attached,
        })
    }

    /// Answers the calls in the container from now on, or changes the answers.
    ///
    /// # Errors
    /// E2BIG for more containers than the map has room for.
    pub fn publish(&self, container: Key, value: &Published) -> nix::Result<()> {
        let value = value.bytes(sys::page_size());
        self.containers.insert(&container.0.to_ne_bytes(), &value)
    }

    /// Leaves the calls in the container to the kernel.
    ///
    /// # Errors
    /// ENOENT for a container that is not in the map.
    pub fn withdraw(&self, container: Key) -> nix::Result<()> {
        self.containers.remove(&container.0.to_ne_bytes())
    }

    /// Returns for each program the function of the kernel, and the number of instructions that the kernel has
    /// followed before it accepted the program; `None` before Linux 5.16.
    #[must_use]
    pub fn verified(&self) -> Vec<(&str, Option<u32>)> {
        let programs = self.programs.iter();
        programs
            .map(|one| {
                (
                    one.function.as_str(),
                    one.program.verified_instructions().ok(),
                )
            })
            .collect()
    }
}

fn attach(
    name: String,
    function: String,
    number: u32,
    code: &[u64],
) -> Result<AttachedProgram, ProgramError> {
    let program = match BpfProgram::load(bpf_name(&name), number, code) {
        Ok(program) => program,
        Err(source) => return Err(ProgramError::Load { function, source }),
    };
    match program.attach() {
        Ok(link) => Ok(AttachedProgram {
            function,
            program,
            _link: link,
        }),
        Err(source) => Err(ProgramError::Attach { function, source }),
    }
}
