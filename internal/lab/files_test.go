package lab

import "testing"

func TestTooManyFilesAreRefusedBeforeAnythingIsBuilt(t *testing.T) {
	if err := allowFiles(0); err != nil {
		t.Errorf("without established connections: %v", err)
	}
	wantWords(t, allowFiles(1<<40), "open files", "ulimit")
}
