//! What Redis carries out in one step: Lua scripts, each with the keys of one record but for [`RENAME`].
//!
//! A record is one string: `1 `, the 32 digits of its version, a space, the data. One string, so
//! that one `SET` replaces data, version and time to live together, whatever stood under the key
//! before, and so that a `SET` that is refused (out of memory) leaves what was there.
//!
//! `GET` goes by `pcall`: on a key of another type it then answers with a table, which is neither
//! missing nor equal to any text, and not with an error that would end the script.
//!
//! A record that was removed leaves a mark for some seconds: `0 `, 32 digits that name the removal, a
//! space, and what was there. It counts as nothing. A removal that is sent twice, because its answer was
//! lost, finds its own mark and answers as the first time: the program's client may repeat a command
//! without a word, and then "nothing was there" would mean that no refresh token is revoked.
//!
//! Scripts are sent whole (`EVAL`), some 500 bytes. `EVALSHA` would save those, and would bring a
//! hash function and two more round trips whenever the server has forgotten the script; a store is
//! asked seldom enough.

/// Puts `local version, data = record(KEYS[1])` at a script's disposal. The version is empty where
/// nothing is, and has only zeros where something is that is no record of ours. One version for
/// all of those: there is nothing in them that a race could lose, and whoever replaces one first
/// gives it a version of its own.
macro_rules! with_record {
    ($script:literal) => {
        concat!(
            r"
local function parse(text)
  if not text then return '' end
  if type(text) == 'string' and string.match(text, '^0 %x+ ') then return '' end
  local version = type(text) == 'string' and string.match(text, '^1 (%x+) ')
  if not version or #version ~= 32 or version ~= string.lower(version) then
    return string.rep('0', 32)
  end
  return version, string.sub(text, 36)
end
local function record(key)
  return parse(redis.pcall('GET', key))
end
",
            $script
        )
    };
}

/// `KEYS[1]`: the record. Answers nil where nothing is, the version and the data, or the version
/// alone if it is no record of ours.
pub(super) const LOAD: &str = with_record!(
    r"
local version, data = record(KEYS[1])
if version == '' then return false end
return {version, data}
"
);

/// `KEYS[1]`: the record. `ARGV`: the expected version (empty for none), the new version, the data,
/// the time to live in milliseconds. Answers [`CONFLICT`], [`SAVED`] or [`THERE_ALREADY`].
pub(super) const SAVE: &str = with_record!(
    r"
local version = record(KEYS[1])
if version ~= ARGV[1] then
  if version == ARGV[2] then return 2 end
  return 0
end
redis.call('SET', KEYS[1], '1 ' .. ARGV[2] .. ' ' .. ARGV[3], 'PX', ARGV[4])
return 1
"
);

/// Another version than the expected one was found.
pub(super) const CONFLICT: i64 = 0;
/// The record is there now.
pub(super) const SAVED: i64 = 1;
/// The very version that was to be saved was found.
pub(super) const THERE_ALREADY: i64 = 2;

/// `KEYS[1]`: the record. `ARGV`: the digits of this removal, and how long its mark stays in milliseconds.
/// Answers as [`LOAD`] does, and removes it. A server without room takes no mark, and gets room all the same.
pub(super) const REMOVE: &str = with_record!(
    r"
local mark = '0 ' .. ARGV[1] .. ' '
local text = redis.pcall('GET', KEYS[1])
local version, data
if type(text) == 'string' and string.sub(text, 1, #mark) == mark then
  version, data = parse(string.sub(text, #mark + 1))
else
  version, data = parse(text)
  if version == '' then return false end
  local marked = mark .. (type(text) == 'string' and text or '')
  local set = redis.pcall('SET', KEYS[1], marked, 'PX', ARGV[2])
  if set.err then redis.call('DEL', KEYS[1]) end
end
return {version, data}
"
);

/// `KEYS`: the record, and where it goes. `ARGV`: as of [`SAVE`]. Answers as [`SAVE`] does; a record that is
/// in the way is a [`CONFLICT`].
pub(super) const RENAME: &str = with_record!(
    r"
local there = record(KEYS[2])
if there ~= '' then
  if there == ARGV[2] then return 2 end
  return 0
end
if record(KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], '1 ' .. ARGV[2] .. ' ' .. ARGV[3], 'PX', ARGV[4])
redis.call('DEL', KEYS[1])
return 1
"
);

/// `KEYS[1]`: the lease. `ARGV`: its owner, and how long it lasts in milliseconds. Answers whether
/// the owner has it now. What has no time to live is no lease of ours: it would never end.
pub(super) const LEASE: &str = r"
if redis.call('PTTL', KEYS[1]) >= 0 and redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
";

/// `KEYS`: the lease, the record. `ARGV`: the lease's owner, and how long it lasts in milliseconds.
/// Answers nil if the lease is another owner's, otherwise a list: `leased`, and then what [`LOAD`]
/// answers, if there is something.
pub(super) const LEASE_AND_LOAD: &str = with_record!(
    r"
if redis.call('PTTL', KEYS[1]) >= 0 and redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return false end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local version, data = record(KEYS[2])
if version == '' then return {'leased'} end
return {'leased', version, data}
"
);

/// `KEYS`: the record, the lease. `ARGV`: as of [`SAVE`], then the lease's owner. Answers as
/// [`SAVE`] does; if the record is there now, the lease is given back.
pub(super) const SAVE_AND_RELEASE: &str = with_record!(
    r"
local version = record(KEYS[1])
if version ~= ARGV[1] then
  if version == ARGV[2] then return 2 end
  return 0
end
redis.call('SET', KEYS[1], '1 ' .. ARGV[2] .. ' ' .. ARGV[3], 'PX', ARGV[4])
if redis.pcall('GET', KEYS[2]) == ARGV[5] then redis.call('DEL', KEYS[2]) end
return 1
"
);

/// `KEYS[1]`: the lease. `ARGV`: its owner. Answers 1.
pub(super) const RELEASE: &str = r"
if redis.pcall('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
";
