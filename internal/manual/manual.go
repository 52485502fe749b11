// Package manual writes reference pages from what the program itself goes by:
// a man page of every command from its flags and help, and the pages of the
// configuration file from its schema. So they cannot say anything else.
//
// Nothing of it is in the program. Tests hold the pages in docs and
// packaging/man to what it writes, and with -update write them.
package manual
