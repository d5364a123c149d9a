mod answered;
mod faults;
mod floods;
mod flow;
mod kit;
mod talk;
