/* Entry by the Multiboot specification 0.6.96: protected mode, paging off, interrupts off, %ebx at the boot information. */
        .set MAGIC, 0x1BADB002
        .set FLAGS, 0x00000002          /* memory sizes wanted */

        .section .multiboot, "a"
        .balign 4
        .long MAGIC, FLAGS, -(MAGIC + FLAGS)

        .text
        .globl _start
_start:
        lgdt gdt_pointer                /* the loader's table may be gone: an interrupt needs a code segment of our own */
        ljmp $0x08, $1f
1:      mov $0x10, %ax
        mov %ax, %ds
        mov %ax, %es
        mov %ax, %fs
        mov %ax, %gs
        mov %ax, %ss
        mov $stack_top, %esp
        push %ebx
        call guest_main
2:      cli
        hlt
        jmp 2b

/* The timer: counts and acknowledges. Everything else is done outside of interrupts.
 * It returns without iret, which KVM's instruction emulator lacks in protected mode: flags and address change places
 * on the stack, so that popf and ret do the same. */
        .globl on_tick
on_tick:
        push %eax
        incl ticks
        mov $0x20, %al
        out %al, $0x20
return_from_interrupt:
        mov 12(%esp), %eax              /* flags */
        mov %eax, 8(%esp)               /* ... to where the code segment was, */
        mov 4(%esp), %eax               /* address */
        mov %eax, 12(%esp)              /* ... to where the flags were */
        pop %eax
        add $4, %esp
        popf
        ret

/* Anything unexpected, spurious interrupts among it. */
        .globl on_other
on_other:
        push %eax
        jmp return_from_interrupt

        .section .rodata
        .balign 8
gdt:    .quad 0
        .quad 0x00CF9A000000FFFF        /* code: all 4 GiB, readable */
        .quad 0x00CF92000000FFFF        /* data: all 4 GiB, writable */
gdt_pointer:
        .word gdt_pointer - gdt - 1
        .long gdt

/* What memory is filled with: noise made at build time, and one word over and over. */
        .balign 4096
        .globl noise, noise_end, pattern, pattern_end
noise:  .incbin "noise.bin"
noise_end:
pattern:
        .fill 16384, 4, 0x6d696773
pattern_end:

        .bss
        .balign 16
        .skip 16384
stack_top:

        .section .note.GNU-stack, "", @progbits
