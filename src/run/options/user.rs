//! Pure. Who runs a command: names and numbers by the texts of /etc/passwd and /etc/group.

/// Who runs a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// The user's number.
    pub(crate) uid: u32,
    /// The group's number.
    pub(crate) gid: u32,
    /// Every group, that one first.
    pub(crate) groups: Vec<u32>,
    /// The home directory; `/` for who has none.
    pub(crate) home: String,
}

/// Why nobody can run the command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// No such user.
    #[error("--user {0}: the container's /etc/passwd has no such user; a number needs no entry")]
    NoUser(String),
    /// No such group.
    #[error("--user {0}: the container's /etc/group has no such group; a number needs no entry")]
    NoGroup(String),
}

/// The user that `asked`, as `user[:group]`, means in a container with these two texts.
///
/// Nothing asked is number 0. A group that is asked for is the only one; otherwise they are the
/// user's own and every group that lists the user.
pub(crate) fn resolve(asked: &str, passwd: &str, group: &str) -> Result<User, UserError> {
    let (user, asked_group) = match asked.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (asked, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let number = user.parse::<u32>().ok();
    let entry = rows(passwd).find(|row| row.name == user || number == Some(row.number));
    let uid = entry.as_ref().map(|row| row.number).or(number);
    let uid = uid.ok_or_else(|| UserError::NoUser(user.to_owned()))?;
    let own = entry
        .as_ref()
        .and_then(|row| row.rest.first()?.parse().ok());
    let gid = match asked_group {
        Some(asked) => rows(group)
            .find(|row| row.name == asked)
            .map(|row| row.number)
            .or_else(|| asked.parse().ok())
            .ok_or_else(|| UserError::NoGroup(asked.to_owned()))?,
        None => own.unwrap_or(0),
    };
    let mut groups = vec![gid];
    if let (None, Some(entry)) = (asked_group, &entry) {
        let lists = |row: &Row<'_>| {
            let mut members = row.rest.first().copied().unwrap_or_default().split(',');
            members.any(|member| member == entry.name)
        };
        groups.extend(rows(group).filter(lists).map(|row| row.number));
        groups.dedup();
    }
    let home = entry.and_then(|row| row.rest.get(2).copied());
    let home = home.filter(|home| home.starts_with('/')).unwrap_or("/");
    Ok(User {
        uid,
        gid,
        groups,
        home: home.to_owned(),
    })
}

/// `name:password:number:rest...`
struct Row<'a> {
    name: &'a str,
    number: u32,
    rest: Vec<&'a str>,
}

fn rows(text: &str) -> impl Iterator<Item = Row<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number = fields.nth(1)?.parse().ok()?;
        Some(Row {
            name,
            number,
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
    fn a_group_that_is_asked_for_is_the_only_one() {
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
    fn nothing_asked_is_number_0_even_without_any_entry() {
        let user = resolve("", "", "").unwrap();
        assert_eq!((user.uid, user.gid), (0, 0));
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
