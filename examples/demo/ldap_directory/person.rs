//! The entries of the simulated directory.

/// An entry with its answer to binds.
#[derive(Clone, Debug)]
pub struct Entry {
    pub dn: String,
    pub attributes: Vec<(String, Vec<Vec<u8>>)>,
    pub password: Option<String>,
    /// The result, the message and the controls of a bind with the right password.
    pub bind_answer: (i32, String, Vec<u8>),
}

impl Entry {
    pub fn values(&self, name: &str) -> Vec<Vec<u8>> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, values)| values.clone()).unwrap_or_default()
    }
}

/// Builds the entry of a person.
#[derive(Clone, Debug)]
pub struct Person(Entry);

impl Person {
    /// `uid=LOGIN,ou=people,dc=corp` with usual attributes.
    pub fn new(login: &str, password: &str) -> Self {
        Self::at(&format!("uid={login},ou=people,dc=corp"), password)
            .with("uid", &[login])
            .with("cn", &[login])
            .with("mail", &[&format!("{login}@corp.example")])
            .with("entryUUID", &[&format!("id-of-{login}")])
    }

    pub fn at(dn: &str, password: &str) -> Self {
        let entry = Entry {
            dn: dn.to_owned(),
            attributes: Vec::new(),
            password: Some(password.to_owned()),
            bind_answer: (0, String::new(), Vec::new()),
        };
        Self(entry).with("objectClass", &["inetOrgPerson"])
    }

    pub fn group(cn: &str, members: &[&str]) -> Self {
        let mut group = Self::at(&format!("cn={cn},ou=groups,dc=corp"), "");
        group.0.password = None;
        group.with("cn", &[cn]).with("member", members)
    }

    pub fn with(self, name: &str, values: &[&str]) -> Self {
        let values: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
        self.with_bytes(name, &values)
    }

    pub fn with_bytes(mut self, name: &str, values: &[&[u8]]) -> Self {
        let name = name.to_owned();
        self.0.attributes.retain(|(found, _)| *found != name);
        let values: Vec<_> = values.iter().map(|value| value.to_vec()).collect();
        if !values.is_empty() {
            self.0.attributes.push((name, values));
        }
        self
    }

    pub fn into_entry(self) -> Entry {
        self.0
    }

    pub fn dn(mut self, dn: &str) -> Self {
        self.0.dn = dn.to_owned();
        self
    }

    pub fn bind_answer(mut self, code: i32, text: &str, controls: Vec<u8>) -> Self {
        self.0.bind_answer = (code, text.to_owned(), controls);
        self
    }
}
