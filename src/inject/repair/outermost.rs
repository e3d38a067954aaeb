//! Pure. Mounts within other mounts.

use crate::base::mountinfo::Mount;

/// A mount that is within no other one, and the mounts within that one: their mount points lie below
/// its own, so that the way to them leads through files for which there may be no daemon.
#[derive(Debug)]
pub(super) struct Outermost<'a> {
    pub(super) mount: &'a Mount,
    pub(super) within: Vec<&'a Mount>,
}

/// Returns the mounts that are within no other mount of `mounts`, in the order of `mounts`; of several
/// mounts at one mount point, the last one.
pub(super) fn outermost<'a>(mounts: &[&'a Mount]) -> Vec<Outermost<'a>> {
    let mut found: Vec<(usize, Outermost<'a>)> = Vec::new();
    // Of the mounts within, each with its place in `mounts`.
    let mut within: Vec<(usize, &'a Mount)> = Vec::new();
    let close = |found: &mut Vec<(usize, Outermost<'a>)>, within: &mut Vec<(usize, &'a Mount)>| {
        within.sort_unstable_by_key(|(at, _)| *at);
        let within = within.drain(..).map(|(_, mount)| mount);
        if let Some((_, last)) = found.last_mut() {
            last.within = within.collect();
        }
    };
    for (at, mount) in by_point(mounts) {
        match found.last_mut() {
            Some((place, outer)) if mount.point == outer.mount.point => {
                (*place, outer.mount) = (at, mount);
            }
            Some((_, outer)) if mount.point.starts_with(&outer.mount.point) => {
                within.push((at, mount));
            }
            _ => {
                close(&mut found, &mut within);
                let within = Vec::new();
                found.push((at, Outermost { mount, within }));
            }
        }
    }
    close(&mut found, &mut within);
    found.sort_unstable_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, outer)| outer).collect()
}

/// Returns the mounts with their places in `mounts`, ordered by mount point: the mounts within one
/// follow it. Of the mounts at one mount point, the last one is the last.
pub(super) fn by_point<'a>(mounts: &[&'a Mount]) -> Vec<(usize, &'a Mount)> {
    let mut sorted: Vec<(usize, &Mount)> = mounts.iter().copied().enumerate().collect();
    sorted.sort_by(|(_, one), (_, other)| one.point.cmp(&other.point));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mountinfo;
    use proptest::{
        collection::vec,
        prelude::{prop_assert_eq, proptest},
    };

    #[test]
    fn a_mount_within_another_goes_with_that_one() {
        let line = |id: u32, point: &str| {
            format!("{id} 24 0:26 / {point} ro - fuse.plimsoll plimsoll rw\n")
        };
        let text = line(1, "/v/containers") + &line(2, "/v") + &line(3, "/v2") + &line(4, "/v");
        let mounts: Vec<Mount> = mountinfo::parse(&text).collect();
        let mounts: Vec<&Mount> = mounts.iter().collect();
        let found = outermost(&mounts);
        let found: Vec<(u32, Vec<u32>)> = found
            .iter()
            .map(|outer| {
                let within = outer.within.iter().map(|mount| mount.id);
                (outer.mount.id, within.collect())
            })
            .collect();
        assert_eq!(found, [(3, vec![]), (4, vec![1])]);
    }

    /// The definition, for each mount against each.
    fn is_within(mount: &Mount, outer: &Mount) -> bool {
        outer.point != mount.point && mount.point.starts_with(&outer.point)
    }

    proptest! {
        #[test]
        fn the_outermost_mounts_are_those_of_the_definition_in_any_order(
            points in vec(vec("[ab.]{1,2}", 0..4), 0..12)
        ) {
            let lines = (0..).zip(&points).map(|(id, point): (u32, _)| {
                format!("{id} 24 0:26 / /{} ro - fuse.plimsoll plimsoll rw\n", point.join("/"))
            });
            let mounts: Vec<Mount> = mountinfo::parse(&lines.collect::<String>()).collect();
            let all: Vec<&Mount> = mounts.iter().collect();
            let is_outermost = |mount: &&&Mount| {
                let mut later = all.iter().skip_while(|other| other.id != mount.id).skip(1);
                !all.iter().any(|outer| is_within(mount, outer))
                    && !later.any(|other| other.point == mount.point)
            };
            let expected: Vec<&Mount> = all.iter().filter(is_outermost).copied().collect();
            let found = outermost(&all);
            prop_assert_eq!(found.iter().map(|outer| outer.mount).collect::<Vec<_>>(), expected);
            for Outermost { mount, within } in found {
                let inner = all.iter().filter(|inner| is_within(inner, mount));
                prop_assert_eq!(within, inner.copied().collect::<Vec<_>>());
            }
        }
    }
}
