//! Pure. The user that runs a command, by the texts of /etc/passwd and /etc/group.

/// The user that runs a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// The user's id.
    pub(crate) uid: u32,
    /// The id of the primary group.
    pub(crate) gid: u32,
    /// The ids of all groups, the primary one first.
    pub(crate) groups: Vec<u32>,
    /// The home directory; `/` for a user without one.
    pub(crate) home: String,
}

/// The error of a user or group that does not exist in the container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// The user has no entry in /etc/passwd.
    #[error(
        "--user {0}: the container's /etc/passwd does not list this user; a number up to 4294967294 needs no entry"
    )]
    NoUser(String),
    /// The group has no entry in /etc/group.
    #[error(
        "--user {0}: the container's /etc/group does not list this group; a number up to 4294967294 needs no entry"
    )]
    NoGroup(String),
}

/// Resolves `requested`, a text of the form `user[:group]`, by the texts of `passwd` and `group`.
///
/// An empty text is user 0. A requested group is the only group; without one the groups are the
/// primary group of the user and every group that lists the user.
///
/// # Errors
///
/// A name without an entry. A number needs none.
pub(crate) fn resolve(requested: &str, passwd: &str, group: &str) -> Result<User, UserError> {
    let (user, requested_group) = match requested.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (requested, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let number = id(user);
    let entry = entries(passwd).find(|entry| entry.name == user || number == Some(entry.id));
    let uid = entry.as_ref().map(|entry| entry.id).or(number);
    let uid = uid.ok_or_else(|| UserError::NoUser(user.to_owned()))?;
    let own = entry
        .as_ref()
        .and_then(|entry| entry.rest.first()?.parse().ok());
    let gid = match requested_group {
        Some(requested) => entries(group)
            .find(|entry| entry.name == requested)
            .map(|entry| entry.id)
            .or_else(|| id(requested))
            .ok_or_else(|| UserError::NoGroup(requested.to_owned()))?,
        None => own.unwrap_or(0),
    };
    let mut groups = vec![gid];
    if let (None, Some(entry)) = (requested_group, &entry) {
        let lists = |group: &AccountEntry<'_>| {
            let mut members = group.rest.first().copied().unwrap_or_default().split(',');
            members.any(|member| member == entry.name)
        };
        groups.extend(entries(group).filter(lists).map(|entry| entry.id));
        groups.dedup();
    }
    let home = entry.and_then(|entry| entry.rest.get(2).copied());
    let home = home.filter(|home| home.starts_with('/')).unwrap_or("/");
    Ok(User {
        uid,
        gid,
        groups,
        home: home.to_owned(),
    })
}

/// Parses an id. The largest number is none: to the kernel it is -1 (`setuid(2)`).
fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX)
}

/// A line of /etc/passwd or /etc/group: `name:password:id:rest...` (passwd(5), group(5)).
struct AccountEntry<'a> {
    name: &'a str,
    id: u32,
    rest: Vec<&'a str>,
}

/// Returns the well-formed entries of an account file.
fn entries(text: &str) -> impl Iterator<Item = AccountEntry<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id = fields.nth(1)?.parse().ok()?;
        Some(AccountEntry {
            name,
            id,
            rest: fields.collect(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:Web:/srv:/bin/false\n";
    const GROUP: &str = "root:x:0:\nweb:x:34:\nadm:x:4:web,other\nlog:x:5:other\n";

    #[test]
    fn a_user_by_name_brings_groups_and_home() {
        let web = User {
            uid: 33,
            gid: 34,
            groups: vec![34, 4],
            home: "/srv".into(),
        };
        assert_eq!(resolve("web", PASSWD, GROUP), Ok(web.clone()));
        assert_eq!(resolve("33", PASSWD, GROUP), Ok(web));
    }

    #[test]
    fn a_requested_group_is_the_only_one() {
        let user = resolve("web:adm", PASSWD, GROUP).unwrap();
        assert_eq!((user.uid, user.gid, user.groups), (33, 4, vec![4]));
    }

    #[test]
    fn a_number_needs_no_entry() {
        let user = resolve("1000:1001", PASSWD, GROUP).unwrap();
        assert_eq!((user.uid, user.gid), (1000, 1001));
        assert_eq!(user.home, "/");
        assert_eq!(resolve("1000", "", "").unwrap().gid, 0);
    }

    #[test]
    fn nothing_requested_is_number_0_even_without_any_entry() {
        let user = resolve("", "", "").unwrap();
        assert_eq!((user.uid, user.gid), (0, 0));
    }

    #[test]
    fn a_number_that_is_no_id_is_refused() {
        for number in ["4294967295", "4294967296", "-1", "1e3"] {
            assert_eq!(
                resolve(number, "", ""),
                Err(UserError::NoUser(number.into()))
            );
            let with_group = format!("0:{number}");
            assert_eq!(
                resolve(&with_group, "", ""),
                Err(UserError::NoGroup(number.into()))
            );
        }
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert_eq!(
            resolve("nobody", PASSWD, GROUP),
            Err(UserError::NoUser("nobody".into()))
        );
        assert_eq!(
            resolve("web:no", PASSWD, GROUP),
            Err(UserError::NoGroup("no".into()))
        );
    }
}
