//! Pure. The fields of the kernel's structures that the programs read, on one kernel.

use super::btf::{Btf, BtfError};

/// The registers in which a system call of a machine has its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registers {
    /// Registers of x86_64, and of its 32-bit programs.
    X86_64,
    /// Registers of arm64, and of its 32-bit programs.
    Arm64,
}

impl Registers {
    /// Returns the registers of the processor that this program was built for; `None` for an unknown one.
    #[must_use]
    pub fn of_this_machine() -> Option<Registers> {
        if cfg!(target_arch = "x86_64") {
            Some(Registers::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Registers::Arm64)
        } else {
            None
        }
    }

    /// Returns the beginning of the names of the functions that are system calls of such programs
    /// (`arch/x86/include/asm/syscall_wrapper.h`, `arch/arm64/include/asm/syscall_wrapper.h`).
    #[must_use]
    pub fn prefix(self, width: CallerWidth) -> &'static str {
        match (self, width) {
            (Registers::X86_64, CallerWidth::Bits64) => "__x64_sys_",
            (Registers::X86_64, CallerWidth::Bits32) => "__ia32_compat_sys_",
            (Registers::Arm64, CallerWidth::Bits64) => "__arm64_sys_",
            (Registers::Arm64, CallerWidth::Bits32) => "__arm64_compat_sys_",
        }
    }
}

/// The width of a program that makes a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerWidth {
    /// A program of 64 bits.
    Bits64,
    /// A program of 32 bits, on a kernel of 64.
    Bits32,
}

/// The limits and the use of one cgroup, in pages: offsets from its `cgroup_subsys_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageCounter {
    /// The use.
    pub usage: i16,
    /// `memory.max`, `memory.swap.max`.
    pub max: i16,
    /// `memory.high`, `memory.swap.high`.
    pub high: i16,
}

/// Offsets of fields, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    /// `task_struct.cgroups`
    pub task_cgroups: i16,
    /// `task_struct.nsproxy`
    pub task_namespaces: i16,
    /// `task_struct.thread_pid`
    pub task_pid: i16,
    /// `nsproxy.mnt_ns`
    pub mount_namespace: i16,
    /// `mnt_namespace.ns.inum`
    pub mount_number: i16,
    /// `pid.level`
    pub pid_level: i16,
    /// The state of the memory controller in `css_set.subsys`.
    pub memory_state: i16,
    /// `cgroup_subsys_state.cgroup`
    pub state_cgroup: i16,
    /// `cgroup_subsys_state.parent`
    pub state_parent: i16,
    /// `cgroup.kn`
    pub cgroup_node: i16,
    /// `kernfs_node.id`
    pub node_id: i16,
    /// `mem_cgroup.memory`
    pub memory: PageCounter,
    /// `mem_cgroup.swap`; on cgroup v1 `mem_cgroup.memsw`, which lies at the same place.
    pub swap: PageCounter,
    /// The first three arguments of a system call in `pt_regs`, of a 64-bit program.
    pub arguments: [i16; 3],
    /// The first three arguments of a system call of a 32-bit program.
    pub arguments_32: [i16; 3],
}

impl Offsets {
    /// Finds the fields in the kernel's description of its types.
    ///
    /// # Errors
    /// [`BtfError::Missing`] for a field that this kernel has not.
    pub fn of(btf: &Btf, registers: Registers) -> Result<Offsets, BtfError> {
        let memory = btf.enumerator("cgroup_subsys_id", "memory_cgrp_id")?;
        let states = i32::from(btf.offset("css_set.subsys")?);
        let state = i32::try_from(memory)
            .map_or(i32::MAX, |id| states.saturating_add(id.saturating_mul(8)));
        let missing = |_| BtfError::Missing("css_set.subsys[memory_cgrp_id]".to_owned());
        let (arguments, arguments_32) = arguments(btf, registers)?;
        Ok(Offsets {
            task_cgroups: btf.offset("task_struct.cgroups")?,
            task_namespaces: btf.offset("task_struct.nsproxy")?,
            task_pid: btf.offset("task_struct.thread_pid")?,
            mount_namespace: btf.offset("nsproxy.mnt_ns")?,
            mount_number: btf.offset("mnt_namespace.ns.inum")?,
            pid_level: btf.offset("pid.level")?,
            memory_state: i16::try_from(state).map_err(missing)?,
            state_cgroup: btf.offset("cgroup_subsys_state.cgroup")?,
            state_parent: btf.offset("cgroup_subsys_state.parent")?,
            cgroup_node: btf.offset("cgroup.kn")?,
            node_id: btf.offset("kernfs_node.id")?,
            memory: counter(btf, "memory")?,
            swap: counter(btf, "swap")?,
            arguments,
            arguments_32,
        })
    }
}

fn counter(btf: &Btf, name: &str) -> Result<PageCounter, BtfError> {
    let state = btf.offset("mem_cgroup.css")?;
    let field = |field: &str| {
        let offset = btf.offset(&format!("mem_cgroup.{name}.{field}"))?;
        Ok(offset.saturating_sub(state))
    };
    Ok(PageCounter {
        usage: field("usage")?,
        max: field("max")?,
        high: field("high")?,
    })
}

fn arguments(btf: &Btf, registers: Registers) -> Result<([i16; 3], [i16; 3]), BtfError> {
    match registers {
        Registers::X86_64 => {
            let [di, si, dx] =
                ["di", "si", "dx"].map(|name| btf.offset(&format!("pt_regs.{name}")));
            let [bx, cx] = ["bx", "cx"].map(|name| btf.offset(&format!("pt_regs.{name}")));
            let dx = dx?;
            Ok(([di?, si?, dx], [bx?, cx?, dx]))
        }
        Registers::Arm64 => {
            let first = btf.offset("pt_regs.regs")?;
            let all = [first, first.saturating_add(8), first.saturating_add(16)];
            Ok((all, all))
        }
    }
}
