//! Pure. The profiles that Docker and the OCI define as JSON: the files of
//! `--security-opt seccomp=FILE`.

use std::collections::HashSet;

use rustix::thread::CapabilitySet;
use serde::Deserialize;

use crate::run::seccomp::{
    architecture::{Architecture, OWN},
    filter::{Action, CallRule, Comparison, Condition, EPERM, Filter},
};

/// The number of arguments of a system call.
const ARGUMENTS: usize = 6;

/// The calls that process 1 of a container makes under the filter.
const NEEDED: [&str; 9] = [
    "clone",
    "execve",
    "exit_group",
    "kill",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigtimedwait",
    "setpgid",
    "wait4",
];

/// The error of a profile that makes no filter.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file cannot be read.
    #[error("cannot read the profile")]
    Read(#[from] std::io::Error),
    /// The text is not JSON, or not that of a profile.
    #[error("not a seccomp profile: {0}")]
    Syntax(String),
    /// Two keys exclude each other.
    #[error("a seccomp profile has either \"{0}\" or \"{1}\"")]
    Both(&'static str, &'static str),
    /// The action has no implementation here.
    #[error("the action {0} needs an agent beside the runtime, which plimsoll run does not have")]
    Action(&'static str),
    /// The error number does not fit.
    #[error("the error number {0} is above 4095")]
    Errno(u32),
    /// The index of an argument is too high.
    #[error("a system call has no argument {0}: the first one is 0, the last one 5")]
    Argument(usize),
    /// The version of a kernel cannot be read.
    #[error("\"minKernel\" is {0}: write a version like 4.8")]
    Kernel(String),
    /// The profile refuses a call of process 1.
    #[error("the profile refuses {0}, which process 1 of every container needs")]
    Needed(&'static str),
    /// The program of the filter is too long.
    #[error("the kernel accepts at most 4096 instructions, and this profile needs more")]
    TooLong,
}

/// The facts that the conditions of a profile ask for.
#[derive(Debug, Clone)]
pub(crate) struct ProfileFacts {
    /// The capabilities of the container.
    pub(crate) capabilities: CapabilitySet,
    /// The major and the minor version of the kernel.
    pub(crate) kernel: (u32, u32),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: NamedAction,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<String>>,
    arch_map: Option<Vec<ArchitectureMap>>,
    flags: Option<Vec<FilterFlag>>,
    syscalls: Option<Vec<Calls>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchitectureMap {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Calls {
    name: Option<String>,
    names: Option<Vec<String>>,
    action: NamedAction,
    errno_ret: Option<u32>,
    args: Option<Vec<Argument>>,
    includes: Option<Conditions>,
    excludes: Option<Conditions>,
}

/// An action in the words of libseccomp.
#[derive(Deserialize, Debug, Clone, Copy)]
enum NamedAction {
    #[serde(rename = "SCMP_ACT_KILL")]
    Kill,
    #[serde(rename = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
}

/// A flag of `seccomp(2)`.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
enum FilterFlag {
    #[serde(rename = "SECCOMP_FILTER_FLAG_LOG")]
    Log,
    #[serde(rename = "SECCOMP_FILTER_FLAG_TSYNC")]
    Tsync,
    #[serde(rename = "SECCOMP_FILTER_FLAG_SPEC_ALLOW")]
    SpecAllow,
    #[serde(rename = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")]
    WaitKillableRecv,
}

/// A condition on an argument of a system call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: usize,
    value: u64,
    value_two: Option<u64>,
    op: Operator,
}

/// A comparison in the words of libseccomp.
#[derive(Deserialize, Clone, Copy)]
enum Operator {
    #[serde(rename = "SCMP_CMP_NE")]
    Ne,
    #[serde(rename = "SCMP_CMP_LT")]
    Lt,
    #[serde(rename = "SCMP_CMP_LE")]
    Le,
    #[serde(rename = "SCMP_CMP_EQ")]
    Eq,
    #[serde(rename = "SCMP_CMP_GE")]
    Ge,
    #[serde(rename = "SCMP_CMP_GT")]
    Gt,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEq,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Conditions {
    arches: Option<Vec<String>>,
    caps: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// Returns the filter of a profile.
///
/// # Errors
///
/// A text that is no profile, and a profile under which no container can start.
pub(crate) fn parse(text: &str, facts: &ProfileFacts) -> Result<Filter, ProfileError> {
    let profile: Profile =
        serde_json::from_str(text).map_err(|error| ProfileError::Syntax(error.to_string()))?;
    let default = action(profile.default_action, profile.default_errno_ret)?;
    let mut rules = Vec::new();
    for calls in profile.syscalls.iter().flatten() {
        if applies(calls, facts)? {
            rules.extend(rules_of(calls)?);
        }
    }
    let flags = profile.flags.as_deref().unwrap_or_default();
    let filter = Filter {
        default,
        architectures: architectures(&profile)?,
        rules,
        logs: flags.contains(&FilterFlag::Log),
    };
    match NEEDED.iter().find(|name| !filter.permits(name)) {
        Some(name) => Err(ProfileError::Needed(name)),
        None => Ok(filter),
    }
}

/// Returns the kernel's own architecture and the others that the profile names. Architectures of
/// other machines play no part.
fn architectures(profile: &Profile) -> Result<Vec<Architecture>, ProfileError> {
    let own = OWN.first().copied();
    let listed = profile.architectures.as_deref().unwrap_or_default();
    let map = profile.arch_map.as_deref().unwrap_or_default();
    if !listed.is_empty() && !map.is_empty() {
        return Err(ProfileError::Both("architectures", "archMap"));
    }
    let is_own = |entry: &&ArchitectureMap| Architecture::of_profile(&entry.architecture) == own;
    let mapped = map.iter().find(is_own);
    let mapped = mapped.and_then(|entry| entry.sub_architectures.as_deref());
    let mut found: Vec<Architecture> = own.into_iter().collect();
    for name in listed.iter().chain(mapped.unwrap_or_default()) {
        let known = Architecture::of_profile(name).filter(|one| OWN.contains(one));
        if let Some(architecture) = known.filter(|one| !found.contains(one)) {
            found.push(architecture);
        }
    }
    Ok(found)
}

/// Returns whether the conditions of an entry hold, as Docker reads them.
fn applies(calls: &Calls, facts: &ProfileFacts) -> Result<bool, ProfileError> {
    let own = OWN.first().map_or("", |one| one.name());
    if let Some(excludes) = &calls.excludes {
        let arches = excludes.arches.iter().flatten();
        let caps = excludes.caps.iter().flatten();
        if arches.into_iter().any(|name| name == own)
            || caps.into_iter().any(|name| has(facts, name))
            || excludes.min_kernel.is_some() && is_since(excludes, facts)?
        {
            return Ok(false);
        }
    }
    let Some(includes) = &calls.includes else {
        return Ok(true);
    };
    let arches = includes.arches.as_deref().unwrap_or_default();
    let caps = includes.caps.iter().flatten();
    Ok((arches.is_empty() || arches.iter().any(|name| name == own))
        && caps.into_iter().all(|name| has(facts, name))
        && is_since(includes, facts)?)
}

fn has(facts: &ProfileFacts, capability: &str) -> bool {
    let name = capability.trim_start_matches("CAP_");
    let capability = CapabilitySet::from_name(name);
    capability.is_some_and(|capability| facts.capabilities.contains(capability))
}

/// Returns whether the kernel has at least the version of the conditions.
fn is_since(conditions: &Conditions, facts: &ProfileFacts) -> Result<bool, ProfileError> {
    let Some(text) = &conditions.min_kernel else {
        return Ok(true);
    };
    let version = text.split_once('.');
    let version =
        version.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let version = version.ok_or_else(|| ProfileError::Kernel(text.clone()))?;
    Ok(facts.kernel >= version)
}

fn rules_of(calls: &Calls) -> Result<Vec<CallRule>, ProfileError> {
    let names = match (&calls.name, calls.names.as_deref().unwrap_or_default()) {
        (Some(_), [_, ..]) => return Err(ProfileError::Both("name", "names")),
        (Some(name), []) => vec![name.clone().into()],
        (None, names) => names.iter().cloned().map(Into::into).collect(),
    };
    let action = action(calls.action, calls.errno_ret)?;
    let arguments = calls.args.as_deref().unwrap_or_default();
    let conditions: Result<Vec<_>, _> = arguments.iter().map(condition).collect();
    let conditions = conditions?;
    let rule = |conditions| CallRule {
        names: names.clone(),
        conditions,
        action,
    };
    let indices: HashSet<u8> = conditions.iter().map(|one| one.argument).collect();
    Ok(match indices.len() == conditions.len() {
        true => vec![rule(conditions)],
        // runc reads two conditions on one argument as alternatives (matchCall in
        // libcontainer/seccomp/seccomp_linux.go).
        false => conditions.into_iter().map(|one| rule(vec![one])).collect(),
    })
}

fn condition(argument: &Argument) -> Result<Condition, ProfileError> {
    let index = argument.index;
    let narrow = u8::try_from(index).ok().filter(|_| index < ARGUMENTS);
    let value = argument.value;
    Ok(Condition {
        argument: narrow.ok_or(ProfileError::Argument(index))?,
        comparison: match argument.op {
            Operator::Ne => Comparison::NotEqual(value),
            Operator::Lt => Comparison::Less(value),
            Operator::Le => Comparison::LessOrEqual(value),
            Operator::Eq => Comparison::Equal(value),
            Operator::Ge => Comparison::GreaterOrEqual(value),
            Operator::Gt => Comparison::Greater(value),
            Operator::MaskedEq => Comparison::MaskedEqual {
                mask: value,
                value: argument.value_two.unwrap_or_default(),
            },
        },
    })
}

fn action(action: NamedAction, errno: Option<u32>) -> Result<Action, ProfileError> {
    // The kernel cuts a larger number to this one (`__seccomp_filter`, kernel/seccomp.c).
    const MAX_ERRNO: u16 = 4095;
    let errno = match errno {
        None => EPERM,
        Some(errno) => u16::try_from(errno)
            .ok()
            .filter(|errno| *errno <= MAX_ERRNO)
            .ok_or(ProfileError::Errno(errno))?,
    };
    Ok(match action {
        NamedAction::Kill | NamedAction::KillThread => Action::KillThread,
        NamedAction::KillProcess => Action::KillProcess,
        NamedAction::Trap => Action::Trap,
        NamedAction::Errno => Action::Errno(errno),
        NamedAction::Trace => Action::Trace(errno),
        NamedAction::Log => Action::Log,
        NamedAction::Allow => Action::Allow,
        NamedAction::Notify => return Err(ProfileError::Action("SCMP_ACT_NOTIFY")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The calls of process 1, as JSON.
    fn needed() -> String {
        format!("{NEEDED:?}")
    }

    fn parsed(text: &str) -> Result<Filter, ProfileError> {
        let facts = ProfileFacts {
            capabilities: CapabilitySet::NET_RAW,
            kernel: (5, 10),
        };
        parse(text, &facts)
    }

    /// The filter of a profile that allows nothing but process 1 and these entries.
    fn with_entries(entries: &str) -> Result<Filter, ProfileError> {
        parsed(&format!(
            "{{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [
                {{\"names\": {}, \"action\": \"SCMP_ACT_ALLOW\"}}, {entries}]}}",
            needed()
        ))
    }

    #[test]
    fn a_profile_becomes_rules() {
        let filter = with_entries(
            "{\"names\": [\"socket\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 97, \"args\": [
                {\"index\": 0, \"value\": 40, \"op\": \"SCMP_CMP_EQ\"},
                {\"index\": 1, \"value\": 15, \"valueTwo\": 1, \"op\": \"SCMP_CMP_MASKED_EQ\"}]},
             {\"name\": \"mkdir\", \"action\": \"SCMP_ACT_LOG\", \"args\": null}",
        )
        .unwrap();
        assert_eq!(filter.default, Action::Errno(EPERM));
        assert_eq!(filter.architectures, OWN[..1]);
        let condition = |argument, comparison| Condition {
            argument,
            comparison,
        };
        assert_eq!(
            filter.rules[1..],
            [
                CallRule {
                    names: vec!["socket".into()],
                    conditions: vec![
                        condition(0, Comparison::Equal(40)),
                        condition(1, Comparison::MaskedEqual { mask: 15, value: 1 }),
                    ],
                    action: Action::Errno(97),
                },
                CallRule {
                    names: vec!["mkdir".into()],
                    conditions: Vec::new(),
                    action: Action::Log,
                },
            ]
        );
    }

    #[test]
    fn two_conditions_on_one_argument_are_alternatives() {
        let filter = with_entries(
            "{\"names\": [\"socket\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [
                {\"index\": 0, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"},
                {\"index\": 0, \"value\": 2, \"op\": \"SCMP_CMP_EQ\"}]}",
        );
        assert_eq!(filter.unwrap().rules.len(), 3);
    }

    #[test]
    fn an_entry_counts_only_where_its_conditions_hold() {
        let own = OWN[0].name();
        for (conditions, counts) in [
            (
                "\"includes\": {\"caps\": [\"CAP_NET_RAW\"]}".to_owned(),
                true,
            ),
            (
                "\"includes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}".to_owned(),
                false,
            ),
            (
                "\"excludes\": {\"caps\": [\"CAP_NET_RAW\"]}".to_owned(),
                false,
            ),
            (format!("\"includes\": {{\"arches\": [\"{own}\"]}}"), true),
            (format!("\"excludes\": {{\"arches\": [\"{own}\"]}}"), false),
            ("\"includes\": {\"arches\": [\"s390x\"]}".to_owned(), false),
            ("\"includes\": {\"minKernel\": \"4.8\"}".to_owned(), true),
            ("\"includes\": {\"minKernel\": \"5.11\"}".to_owned(), false),
            ("\"excludes\": {\"minKernel\": \"5.10\"}".to_owned(), false),
            ("\"includes\": {}, \"excludes\": {}".to_owned(), true),
        ] {
            let entry =
                format!("{{\"names\": [\"mount\"], \"action\": \"SCMP_ACT_ALLOW\", {conditions}}}");
            let filter = with_entries(&entry).unwrap();
            assert_eq!(filter.rules.len() == 2, counts, "{conditions}");
        }
    }

    #[test]
    fn the_architectures_are_the_machines_own_of_those_in_the_profile() {
        let all = |architectures: &str| {
            parsed(&format!(
                "{{\"defaultAction\": \"SCMP_ACT_ALLOW\", {architectures}}}"
            ))
            .unwrap()
            .architectures
        };
        let x86 = "\"architectures\": [\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_X86\", \"SCMP_ARCH_X32\",
            \"SCMP_ARCH_AARCH64\", \"SCMP_ARCH_ARM\", \"SCMP_ARCH_S390\"]";
        assert_eq!(all(x86).len(), OWN.len());
        let map = "\"archMap\": [
            {\"architecture\": \"SCMP_ARCH_X86_64\", \"subArchitectures\": [\"SCMP_ARCH_X86\"]},
            {\"architecture\": \"SCMP_ARCH_AARCH64\", \"subArchitectures\": [\"SCMP_ARCH_ARM\"]}]";
        assert_eq!(all(map), OWN[..2]);
    }

    #[test]
    fn a_mistake_in_a_profile_is_named() {
        let error = |entries: &str| with_entries(entries).unwrap_err().to_string();
        for (entry, named) in [
            (
                "\"names\": [\"a\"], \"action\": \"SCMP_ACT_NOTIFY\"",
                "SCMP_ACT_NOTIFY",
            ),
            ("\"names\": [\"a\"], \"action\": \"ALLOW\"", "ALLOW"),
            (
                "\"names\": [\"a\"], \"name\": \"b\", \"action\": \"SCMP_ACT_ALLOW\"",
                "either \"name\" or \"names\"",
            ),
            (
                "\"names\": [\"a\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 5000",
                "5000",
            ),
            (
                "\"names\": [\"a\"], \"action\": \"SCMP_ACT_ALLOW\",
                 \"args\": [{\"index\": 6, \"value\": 0, \"op\": \"SCMP_CMP_EQ\"}]",
                "no argument 6",
            ),
            (
                "\"names\": [\"a\"], \"action\": \"SCMP_ACT_ALLOW\", \"includes\": {\"minKernel\": \"5\"}",
                "\"minKernel\" is 5",
            ),
        ] {
            let error = error(&format!("{{{entry}}}"));
            assert!(error.contains(named), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        for text in ["", "{}", "[]", "{\"defaultAction\": 1}"] {
            let error = parsed(text).unwrap_err().to_string();
            assert!(error.starts_with("not a seccomp profile: "), "{error}");
        }
    }

    #[test]
    fn a_profile_under_which_process_1_cannot_live_is_refused() {
        let error = parsed("{\"defaultAction\": \"SCMP_ACT_ERRNO\"}").unwrap_err();
        assert!(error.to_string().contains("refuses clone, which process 1"));
        let kills = "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [
            {\"names\": [\"wait4\"], \"action\": \"SCMP_ACT_KILL\"}]}";
        let error = parsed(kills).unwrap_err();
        assert!(error.to_string().contains("refuses wait4"));
    }
}
