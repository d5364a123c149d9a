// Completes a handshake that offers a single group for the key exchange, gets "/", and prints the group that was used.
//
// usage: tls-group HOST:PORT GROUP
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"os"
)

var groups = []tls.CurveID{
	tls.X25519, tls.CurveP256, tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024,
}

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address, name string) error {
	config := &tls.Config{InsecureSkipVerify: true}
	for _, group := range groups {
		if group.String() == name {
			config.CurvePreferences = []tls.CurveID{group}
		}
	}
	if config.CurvePreferences == nil {
		return fmt.Errorf("unknown group %q; expected one of %v", name, groups)
	}
	connection, err := tls.Dial("tcp", address, config)
	if err != nil {
		return err
	}
	defer connection.Close()
	if _, err := io.WriteString(connection, "GET / HTTP/1.0\r\nHost: a.example\r\n\r\n"); err != nil {
		return err
	}
	if _, err := io.ReadAll(connection); err != nil {
		return err
	}
	fmt.Println(connection.ConnectionState().CurveID)
	return nil
}
