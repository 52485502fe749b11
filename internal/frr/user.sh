useradd --system --create-home --groups frr,frrvty --shell /usr/bin/vtysh routesteer
install -d -o routesteer -m 700 /home/routesteer/.ssh
echo "restrict,pty $key" >/home/routesteer/.ssh/authorized_keys
