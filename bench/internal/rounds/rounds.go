// Package rounds orders measurements so that noise hits all of what is compared.
package rounds

// InTurn calls do for each side in each round. Which side comes first changes from round to round, so that none has the better place.
func InTurn(rounds, sides int, do func(round, side int) error) error {
	for round := range rounds {
		for turn := range sides {
			if err := do(round, (turn+round)%sides); err != nil {
				return err
			}
		}
	}
	return nil
}
