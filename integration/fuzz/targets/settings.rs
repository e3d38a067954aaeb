//! What users write: `config.toml` and the values of options. A mistake is one line, and no text panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll::{
    base::{
        config,
        units::{Bytes, CpuSet, Limit, NodeSet},
    },
    run::options::{parse, volume},
};

fuzz_target!(|text: &str| {
    if let Err(mistake) = config::parse(text) {
        assert!(!mistake.contains('\n'), "{mistake}");
    }
    if let Ok(size) = text.parse::<Bytes>() {
        assert!(
            parse::memory(text).is_ok_and(|memory| memory == Limit::At(size))
                || parse::memory(text).is_err()
        );
    }
    let machine = CpuSet::parse("0-3").unwrap();
    for limit in [Limit::Unlimited, Limit::At(Bytes(1 << 20))] {
        let _ = parse::swap(text, limit);
    }
    if let Ok(cpus) = parse::cpuset(text, &machine) {
        assert_eq!(parse::cpuset(&cpus.to_string(), &machine).ok(), Some(cpus));
    }
    let _ = (
        parse::cpus(text, &machine),
        parse::pids(text),
        volume::volume(text),
        volume::mount(text),
        volume::tmpfs(text),
    );
    let _ = (
        parse::name(text),
        parse::hostname(text),
        parse::variable(text),
    );
    let _ = (parse::directory(text.as_ref()), NodeSet::parse(text));
});
