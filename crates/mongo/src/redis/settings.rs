//! Where Redis is and how long to wait for it. Settings only; nothing here connects.

use std::fmt;
use std::time::Duration;

use redis::{ConnectionInfo, IntoConnectionInfo as _};

/// How to reach Redis, and what may be made of it.
#[derive(Clone)]
pub struct Settings {
    /// `HOST:PORT`, or a URL: `redis://…`, `rediss://…` for TLS with the system's certificates,
    /// `unix://PATH` for a socket.
    pub address: String,
    /// The user of an access control list; empty for the default one, or the URL's.
    pub username: String,
    /// Empty for none, or the URL's. Never shown.
    pub password: String,
    /// The number of the database within Redis; `None` for the URL's, or 0.
    pub db: Option<i64>,
    /// Longest time that a send waits for Redis.
    pub deadline: Duration,
    /// Age from which on a hint is neither kept nor used. Far less than the time after which the
    /// store deletes documents.
    pub hint_age_max: Duration,
}

impl Settings {
    /// Default of [`Settings::deadline`]: many times what Redis takes on a busy network, and a
    /// small part of what a send may take.
    pub const DEADLINE: Duration = Duration::from_millis(50);
    /// Default of [`Settings::hint_age_max`].
    pub const HINT_AGE_MAX: Duration = Duration::from_secs(600);

    /// The defaults, for a Redis at this address.
    pub fn at(address: impl Into<String>) -> Settings {
        Settings {
            address: address.into(),
            username: String::new(),
            password: String::new(),
            db: None,
            deadline: Settings::DEADLINE,
            hint_age_max: Settings::HINT_AGE_MAX,
        }
    }

    pub(super) fn connection(&self) -> Result<ConnectionInfo, SettingsError> {
        let address = self.address.trim();
        let url =
            if address.contains("://") { address.to_owned() } else { format!("redis://{address}") };
        let info = url.into_connection_info().map_err(|e| SettingsError::of_library(&e))?;
        let mut login = info.redis_settings().clone();
        if !self.username.is_empty() {
            login = login.set_username(&self.username);
        }
        if !self.password.is_empty() {
            login = login.set_password(&self.password);
        }
        if let Some(db) = self.db {
            login = login.set_db(db);
        }
        Ok(info.set_redis_settings(login))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the address: a URL may hold a password.
        let Settings { deadline, hint_age_max, db, .. } = self;
        let mut shown = f.debug_struct("Settings");
        shown.field("db", db).field("deadline", deadline).field("hint_age_max", hint_age_max);
        shown.finish_non_exhaustive()
    }
}

/// The address of Redis is none. Mend the settings.
#[derive(Debug, thiserror::Error)]
#[error("the address of Redis is neither HOST:PORT nor a URL that is understood: {0}")]
pub struct SettingsError(String);

impl SettingsError {
    /// The library's words are about the form only, and never repeat a password.
    pub(super) fn of_library(error: &redis::RedisError) -> SettingsError {
        SettingsError(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_port_or_a_url_and_settings_beside_it_decide() {
        let cases = [
            ("10.0.0.5:6380", "10.0.0.5:6380", 0),
            ("[::1]:6380", "::1:6380", 0),
            ("redis.example", "redis.example:6379", 0),
            (" redis://redis.example:1/3 ", "redis.example:1", 3),
            ("rediss://redis.example:1", "redis.example:1", 0),
        ];
        for (address, expected, db) in cases {
            let info = Settings::at(address).connection().unwrap();
            let shown = info.addr().to_string();
            assert_eq!(shown, expected, "as the library shows it, without brackets");
            assert_eq!(info.redis_settings().db(), db);
        }
        let mut settings = Settings::at("redis://ann:old@redis.example/3");
        settings.password = "new".into();
        settings.db = Some(5);
        let login = settings.connection().unwrap().redis_settings().clone();
        assert_eq!((login.username(), login.password()), (Some("ann"), Some("new")));
        assert_eq!(login.db(), 5);
        Settings::at("http://redis.example").connection().unwrap_err();
        Settings::at("").connection().unwrap_err();
    }

    #[test]
    fn no_password_is_shown() {
        let mut settings = Settings::at("redis://ann:hidden@redis.example:x");
        settings.password = "hidden".into();
        let error = settings.connection().unwrap_err();
        for shown in [format!("{settings:?}"), format!("{error:?}"), error.to_string()] {
            assert!(!shown.contains("hidden"), "{shown}");
        }
    }
}
