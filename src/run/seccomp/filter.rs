//! Pure. The rules of a filter, by the names of system calls.

use std::borrow::Cow;

use crate::run::seccomp::architecture::Architecture;

/// EPERM, the error of a refused call.
pub(crate) const EPERM: u16 = 1;

/// ENOSYS, the error of a call that the kernel does not have.
pub(crate) const ENOSYS: u16 = 38;

/// The answer of a filter to a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// The kernel executes the call.
    Allow,
    /// The kernel executes the call and logs it.
    Log,
    /// The call fails with this error.
    Errno(u16),
    /// The process gets SIGSYS.
    Trap,
    /// A tracer decides, which gets this number; without a tracer the call fails with ENOSYS.
    Trace(u16),
    /// The thread dies.
    KillThread,
    /// The process dies.
    KillProcess,
}

impl Action {
    /// Returns the return value of a filter for this action (`SECCOMP_RET_*`,
    /// include/uapi/linux/seccomp.h).
    pub(crate) fn value(self) -> u32 {
        match self {
            Action::KillProcess => 0x8000_0000,
            Action::KillThread => 0,
            Action::Trap => 0x0003_0000,
            Action::Errno(error) => 0x0005_0000 | u32::from(error),
            Action::Trace(number) => 0x7ff0_0000 | u32::from(number),
            Action::Log => 0x7ffc_0000,
            Action::Allow => 0x7fff_0000,
        }
    }

    /// Returns whether the kernel executes the call, perhaps after a tracer's consent.
    pub(crate) fn is_permissive(self) -> bool {
        matches!(self, Action::Allow | Action::Log | Action::Trace(_))
    }
}

/// A comparison of an argument of a call, as a number of 64 bits without a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// The argument differs from the value.
    NotEqual(u64),
    /// The argument is below the value.
    Less(u64),
    /// The argument is at most the value.
    LessOrEqual(u64),
    /// The argument is the value.
    Equal(u64),
    /// The argument is at least the value.
    GreaterOrEqual(u64),
    /// The argument is above the value.
    Greater(u64),
    /// The bits of the argument in the mask are the value.
    MaskedEqual {
        /// The mask.
        mask: u64,
        /// The value.
        value: u64,
    },
}

/// A condition of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    /// The index of the argument, from 0 to 5.
    pub(crate) argument: u8,
    /// The comparison that must hold.
    pub(crate) comparison: Comparison,
}

/// A rule for some system calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallRule {
    /// The names of the calls. An architecture that lacks a call has no rule for it.
    pub(crate) names: Vec<Cow<'static, str>>,
    /// The conditions, all of which must hold.
    pub(crate) conditions: Vec<Condition>,
    /// The answer.
    pub(crate) action: Action,
}

/// The filter of a container's system calls.
///
/// The first rule of a call with conditions that hold decides; then the first rule of the call
/// without conditions; then the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    /// The answer to a call without a rule.
    pub(crate) default: Action,
    /// The architectures with rules. A process that makes a call of another one dies.
    pub(crate) architectures: Vec<Architecture>,
    /// The rules, in their order.
    pub(crate) rules: Vec<CallRule>,
    /// The kernel logs every answer but [`Action::Allow`].
    pub(crate) logs: bool,
}

impl Filter {
    /// Returns whether the filter lets a call of this name through, for some arguments at least.
    pub(crate) fn permits(&self, name: &str) -> bool {
        let mut rules = self
            .rules
            .iter()
            .filter(|rule| rule.names.iter().any(|other| other == name))
            .peekable();
        let is_decided = rules.peek().is_some();
        let has_permission = rules.any(|rule| rule.action.is_permissive());
        has_permission || (!is_decided && self.default.is_permissive())
    }
}
