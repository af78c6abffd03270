//! Room: Pipedrive.
pub mod errors { 
 use crate::exchange::Reply;
 /// x
 pub fn of_status(status:u16)->Reply{Reply::empty(status)}
}
use crate::{Options, exchange::*, world::World};
/// x
#[derive(Debug)] pub struct Account;
impl Account { /// x
 pub fn new(_n:&str,_o:&Options)->Account{Account}
 /// x
 pub fn generate(&mut self,_o:&str,_c:usize)->Vec<String>{vec![]}
 /// x
 pub fn insert(&mut self,_o:&str,_f:&serde_json::Map<String,serde_json::Value>)->Option<String>{None} }
/// x
pub fn answer(_r:&Request,_w:&World)->Reply{Reply::empty(500)}
/// x
pub fn account_of(_r:&Request,_w:&World)->Option<String>{None}
