package sweep

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// flowTable is the name of the nftables tables of moves under way
// (drivers/linux/flows), and flowSet a set that each of them has: a table of our
// name without it is somebody else's.
const flowTable, flowSet = "routesteer", "flows"

// nftables removes the tables of moves under way. A kernel without nftables has
// none.
func (s *sweep) nftables() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	var failed []error
	for _, family := range []struct {
		id   nftables.TableFamily
		word string
	}{{nftables.TableFamilyIPv4, "ip"}, {nftables.TableFamilyIPv6, "ip6"}} {
		tables, err := conn.ListTablesOfFamily(family.id)
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EINVAL) {
			continue
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("list nftables tables: %w", err))
			continue
		}
		for _, table := range tables {
			if table.Name != flowTable || !hasFlows(conn, table) {
				continue
			}
			failed = append(failed, s.remove("nftables", "nft table "+family.word+" "+table.Name, func() error {
				conn.DelTable(table)
				return conn.Flush()
			}))
		}
	}
	return errors.Join(failed...)
}

func hasFlows(conn *nftables.Conn, table *nftables.Table) bool {
	_, err := conn.GetSetByName(table, flowSet)
	return err == nil
}
